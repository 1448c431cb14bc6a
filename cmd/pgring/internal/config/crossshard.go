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

// CrossShard is the section cross_shard.
type CrossShard struct {
	Transactions  CommitMode `yaml:"transactions" default:"reject" enum:"reject|saga|2pc" doc:"What a transaction does that writes to a second shard; a session changes it: SET pgring.cross_shard = 'saga'."`
	Statements    CommitMode `yaml:"statements" default:"auto" enum:"auto|2pc|reject" doc:"One statement that writes to several shards, outside of a transaction block. Both auto and 2pc commit by two-phase commit, which needs max_prepared_transactions > 0."`
	CommitTimeout Duration   `yaml:"commit_timeout" default:"10s" min:"1ms" doc:"How long COMMIT may take before the client gets SQLSTATE 40003 with the saga's id."`
	KeepFinished  Duration   `yaml:"keep_finished" default:"24h" min:"1m" restart:"true" doc:"How long SHOW SAGAS and pgring.saga_status() remember a saga that has ended."`
}
