package saga_test

import (
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/saga"
)

// The parts of these tests take turns on the same servers, since starting some for each costs more than most parts themselves.

func TestSagasOnTwoShards(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 2)...)
	c.run(t, "undo runs as its user under its settings", c.undoRunsAsItsUserUnderItsSettings)
	c.run(t, "sagas that make no sense are rolled back", c.sagasThatMakeNoSenseAreRolledBack)
	c.run(t, "repeat with the same key", c.repeatWithTheSameKey)
	c.run(t, "proofs are not seen by other sessions", c.proofsAreNotSeenByOtherSessions)
	c.run(t, "stuck saga waits for an operator", c.stuckSagaWaitsForAnOperator)
	c.run(t, "retry settles a stuck saga", c.retrySettlesAStuckSaga)
	c.run(t, "skip leaves a step to the operator", c.skipLeavesAStepToTheOperator)
	c.run(t, "abandon ends a saga", c.abandonEndsASaga)
	c.run(t, "status of a saga that never was", c.statusOfASagaThatNeverWas)
	c.run(t, "list and show", c.listAndShow)
	c.run(t, "forgetting dies at every message", c.forgettingDiesAtEveryMessage)
	c.run(t, "verify finds what a shard has lost", c.verifyFindsWhatAShardHasLost)
	c.run(t, "verify looks at two phase commits", c.verifyLooksAtTwoPhaseCommits)
	c.run(t, "fence of a step waits for its commit", c.fenceOfAStepWaitsForItsCommit)
	c.run(t, "call commits step by step", c.callCommitsStepByStep)
	c.run(t, "call undoes what was done", c.callUndoesWhatWasDone)
	c.run(t, "call goes forward behind the pivot", c.callGoesForwardBehindThePivot)
	c.run(t, "call goes on without its client", c.callGoesOnWithoutItsClient)
	c.run(t, "calls that make no sense are refused", c.callsThatMakeNoSenseAreRefused)
}

func TestSagasOnThreeShards(t *testing.T) {
	t.Parallel()
	c := newBank(t, pgtest.Start(t, 3)...)
	c.run(t, "saga makes work durable on all shards", c.sagaMakesWorkDurableOnAllShards)
	c.run(t, "refused commit undoes the others", c.refusedCommitUndoesTheOthers)
	c.run(t, "retriable step is run forward", c.retriableStepIsRunForward)
	c.run(t, "settled sagas are forgotten", c.settledSagasAreForgotten)
	c.run(t, "retriable steps commit last", c.retriableStepsCommitLast)
}

func TestTwoPhaseCommitOnTwoShards(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Start(t, 2)...)
	c.run(t, "failed transaction is rolled back everywhere", c.failedTransactionIsRolledBackEverywhere)
	c.run(t, "what PostgreSQL cannot prepare is refused", c.whatPostgresCannotPrepareIsRefused)
	c.run(t, "fence outlives the stalled proxy", c.fenceOutlivesTheStalledProxy)
	c.run(t, "proxy learns the outcome from a home that comes back", c.proxyLearnsTheOutcomeFromAHomeThatComesBack)
	c.run(t, "janitor leaves young and foreign transactions alone", c.janitorLeavesYoungAndForeignTransactionsAlone)
	c.run(t, "decision is kept until every shard has acted on it", c.decisionIsKeptUntilEveryShardHasActedOnIt)
	c.run(t, "very late proxy does not report a rollback", c.veryLateProxyDoesNotReportARollback)
	c.run(t, "janitor logs what it settled and each trouble once", c.janitorLogsWhatItSettledAndEachTroubleOnce)
	c.run(t, "transaction prepared under another role is ended by the operator", c.transactionPreparedUnderAnotherRoleIsEndedByTheOperator)
	c.run(t, "fence waits for a decision under way", c.fenceWaitsForADecisionUnderWay)
}

func TestTwoPhaseCommitOnThreeShards(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Start(t, 3)...)
	c.run(t, "commit makes work durable on all shards", c.commitMakesWorkDurableOnAllShards)
	c.run(t, "every shards refusal rolls back everywhere", c.everyShardsRefusalRollsBackEverywhere)
	c.run(t, "stalled proxy and janitor agree", c.stalledProxyAndJanitorAgree)
	c.run(t, "many janitors at once agree", c.manyJanitorsAtOnceAgree)
	c.run(t, "janitor waits for home", c.janitorWaitsForHome)
	c.run(t, "proxy learns the outcome when only the connection breaks", c.proxyLearnsTheOutcomeWhenOnlyTheConnectionBreaks)
	c.run(t, "context ends at every message", c.contextEndsAtEveryMessage)
}

// run gives a part of a test the servers as they were at the start.
func (c *cluster) run(t *testing.T, name string, part func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		part(t)
		if !t.Failed() {
			c.reset(t)
		}
	})
}

// reset removes what a part has left.
func (c *cluster) reset(t *testing.T) {
	t.Helper()
	for _, s := range c.servers {
		for _, name := range pgtest.One[[]string](t, s, "SELECT coalesce(array_agg(gid), '{}') FROM pg_prepared_xacts") {
			s.Exec(t, "ROLLBACK PREPARED "+saga.Quote(name))
		}
		s.Exec(t, `DROP TABLE IF EXISTS twin; TRUNCATE work CASCADE; DO $$ DECLARE r regclass; BEGIN
			FOR r IN SELECT oid FROM pg_class WHERE oid IN (to_regclass('audit'), to_regclass('checked'), to_regclass('pgring.saga'), to_regclass('pgring.barrier')) LOOP
				EXECUTE format('TRUNCATE %s CASCADE', r);
			END LOOP;
			FOR r IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relname LIKE 'made\_%' LOOP EXECUTE format('DROP TABLE %s', r); END LOOP;
		END $$`)
	}
}
