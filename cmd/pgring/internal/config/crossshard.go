package config

// CommitMode says what becomes of a transaction or statement that writes to more than one shard.
type CommitMode string

// The modes; CommitAuto is for statements only.
const (
	CommitReject   CommitMode = "reject"
	CommitSaga     CommitMode = "saga"
	CommitTwoPhase CommitMode = "2pc"
	CommitAuto     CommitMode = "auto"
)

// Compensation says what a write in mode saga gets that says nothing itself.
type Compensation string

// The values.
const (
	CompensationRequire Compensation = "require"
	CompensationAuto    Compensation = "auto"
)

// CrossShard is the section cross_shard.
type CrossShard struct {
	Transactions  CommitMode   `yaml:"transactions" default:"reject" enum:"reject|saga|2pc" doc:"What a transaction does that writes to a second shard; a session changes it: SET pgring.cross_shard = 'saga'."`
	Statements    CommitMode   `yaml:"statements" default:"auto" enum:"auto|saga|2pc|reject" doc:"One statement that writes to several shards, outside of a transaction block: auto is two-phase commit where all shards have max_prepared_transactions > 0, else saga with derived compensations, else it is refused."`
	Compensation  Compensation `yaml:"compensation" default:"require" enum:"require|auto" doc:"What undoes a write in mode saga that has no directive: require refuses it, auto derives its compensation; a session changes it: SET pgring.compensation = 'auto'."`
	CommitTimeout Duration     `yaml:"commit_timeout" default:"10s" min:"1ms" doc:"How long COMMIT may take before the client gets SQLSTATE 40003 with the saga's id."`
	KeepFinished  Duration     `yaml:"keep_finished" default:"24h" min:"1m" restart:"true" doc:"How long SHOW SAGAS and pgring.saga_status() remember a saga that has ended."`
}
