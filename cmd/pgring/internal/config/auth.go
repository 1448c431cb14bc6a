package config

// ConsoleDatabase and ConsoleAlias are the names under which clients reach the console; no user's database may be called so.
const (
	ConsoleDatabase = "pgring"
	ConsoleAlias    = "pgbouncer"
)

// Auth is the section auth.
type Auth struct {
	Users []User `yaml:"users" required:"true" doc:"Everybody who may connect, with SCRAM-SHA-256 only."`
}

// Role says what a user may do in the console.
type Role string

// The roles: RoleApp has no console, RoleStats may look (SHOW), RoleAdmin may also act.
const (
	RoleApp   Role = "app"
	RoleStats Role = "stats"
	RoleAdmin Role = "admin"
)

// User is one entry of auth.users.
type User struct {
	Name       string     `yaml:"name" required:"true" doc:"Name that the client sends."`
	Password   Secret     `yaml:"password" required:"true" doc:"A SCRAM verifier (pgring hash-password makes one) or a plain password."`
	Database   string     `yaml:"database" shown:"backend.database for role app" doc:"The database name that this user may connect to. Roles admin and stats have only the console unless it is set."`
	MaxClients int        `yaml:"max_clients" default:"0" min:"0" max:"1000000" doc:"Connections of this user; 0 = only limits.max_clients."`
	Role       Role       `yaml:"role" default:"app" enum:"app|stats|admin" doc:"app: no console; stats: SHOW; admin: everything in the console."`
	CrossShard CommitMode `yaml:"cross_shard" enum:"reject|saga|2pc" shown:"cross_shard.transactions" doc:"This user's own cross_shard.transactions."`
	Backend    Login      `yaml:"backend" inherit:"true" doc:"This user's own login on the shards, instead of backend.user and backend.password."`
}

// Login is a user name and password on the shards. The zero value means that another login stands in.
type Login struct {
	User     string `yaml:"user" required:"true" doc:"Role on the shards."`
	Password Secret `yaml:"password" doc:"Its password."`
}

// IsZero tells whether no login was given.
func (l Login) IsZero() bool { return l.User == "" && !l.Password.IsSet() }

// User returns the user of that name.
func (c *Config) User(name string) (User, bool) {
	for _, u := range c.Auth.Users {
		if u.Name == name {
			return u, true
		}
	}
	return User{}, false
}

// DatabaseOf returns the database name that u may connect to besides the console; empty means none.
func (c *Config) DatabaseOf(u User) string {
	if u.Database != "" || u.Role != RoleApp {
		return u.Database
	}
	return c.Backend.Database
}
