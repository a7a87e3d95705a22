/** Who does not hold changes nothing, and no status moves where the table has no move. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AttemptId, toId, type WorkflowId } from '../../src/domain/id.ts'
import { EXTERNAL_WORKFLOW, type LeaseProof } from '../../src/domain/run.ts'
import { isTerminal, isTransition, listStatuses, type Thing, TRANSITIONS } from '../../src/domain/status.ts'
import type { StepInstance } from '../../src/domain/step.ts'
import type { Store } from '../../src/store/contract.ts'
import {
  beginAttempt,
  beginScene,
  claim,
  createInstances,
  dump,
  HOLDER,
  openApproval,
  PINS,
  registerTestWorkflow,
  STORES,
  type TestSql,
  type TestStore,
  toNewInstance,
  toProof,
} from '../support/store.ts'

for (const { name, open } of STORES) {
  describe(name, () => {
    let test_: TestStore
    let store: Store

    beforeEach(async () => {
      test_ = await open()
      store = test_.store
    })
    afterEach(async () => await test_[Symbol.asyncDispose]())

    /** Every method that takes a lease's proof, on rows for which a holder's call would succeed. */
    async function listFencedCalls(): Promise<{
      proof: LeaseProof
      calls: Readonly<Record<string, (proof: LeaseProof) => Promise<unknown>>>
    }> {
      const { proof } = await beginScene(store)
      const workflow = await registerTestWorkflow(store)
      const host = await store.write.registerHost({
        name: 'h',
        holder: HOLDER,
        pid: 1,
        bootId: 'b',
        slotCount: 1,
      })
      const { instance, attempt } = await beginAttempt(store, proof)
      await openApproval(store, proof)
      const [idle] = (await createInstances(store, proof, 'idle')) as [StepInstance]
      const child = { workflowId: workflow.id, workflow: 'linear@1', inputs: {}, pins: PINS }
      const effect = { key: 'k', kind: 'http_request', payload: {} } as const
      const onAttempt = { attemptId: attempt.id }
      const onInstance = { stepInstanceId: idle.id }
      const failed = { reason: 'agent_failed', detail: '' } as const
      const calls: Record<string, (proof: LeaseProof) => Promise<unknown>> = {
        releaseRun: (by) => store.write.releaseRun(by),
        translateRun: (by) =>
          store.write.translateRun({
            ...by,
            workflowId: workflow.id as WorkflowId,
            workflow: 'linear@1',
            inputs: {},
            pins: PINS,
          }),
        recordProgress: (by) => store.write.recordProgress({ ...by, data: {} }),
        parkRun: (by) => store.write.parkRun(by),
        'finishRun succeeded': (by) =>
          store.write.finishRun({ ...by, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } }),
        'finishRun failed': (by) =>
          store.write.finishRun({
            ...by,
            outcome: { status: 'failed', ...failed, ticket: { kind: 'dead' } },
          }),
        'finishRun canceled': (by) =>
          store.write.finishRun({ ...by, outcome: { status: 'canceled', ...failed } }),
        createStepInstances: (by) =>
          store.write.createStepInstances({ ...by, instances: [toNewInstance('late')] }),
        startAttempt: (by) => store.write.startAttempt({ ...by, ...onInstance, inputs: {} }),
        advanceAttempt: (by) =>
          store.write.advanceAttempt({ ...by, ...onAttempt, phase: 'awaiting', handle: { late: 1 } }),
        succeedAttempt: (by) => store.write.succeedAttempt({ ...by, ...onAttempt, outputs: { late: 1 } }),
        failAttempt: (by) => store.write.failAttempt({ ...by, ...onAttempt, status: 'failed', ...failed }),
        'failAttempt with a retry': (by) =>
          store.write.failAttempt({ ...by, ...onAttempt, status: 'lost', ...failed, retryAt: 0 }),
        endStepInstance: (by) => store.write.endStepInstance({ ...by, ...onInstance, status: 'skipped' }),
        'openWait timer': (by) =>
          store.write.openWait({ ...by, ...onInstance, kind: 'timer', subject: '', deadlineAt: 1 }),
        'openWait effect': (by) =>
          store.write.openWait({ ...by, ...onInstance, kind: 'effect', subject: '', effect }),
        'openWait run': (by) =>
          store.write.openWait({ ...by, ...onInstance, kind: 'run', subject: '', child }),
        createSandboxEntry: (by) =>
          store.write.createSandboxEntry({
            ...by,
            id: toId('sandbox', 1, new Uint8Array(16)),
            hostId: host.id,
            driver: 'fake',
            stepInstanceId: instance.id,
            attemptId: attempt.id as AttemptId,
          }),
        addArtifact: (by) =>
          store.write.addArtifact({
            ...by,
            stepInstanceId: instance.id,
            attempt: 1,
            name: 'n',
            path: 'p',
            byteCount: 1,
            sha256: 's',
          }),
      }
      return { proof, calls }
    }

    async function expectAllRefused(
      calls: Readonly<Record<string, (proof: LeaseProof) => Promise<unknown>>>,
      proofs: Readonly<Record<string, LeaseProof>>,
    ): Promise<void> {
      const before = await dump(test_)
      for (const [why, proof] of Object.entries(proofs)) {
        for (const [method, call] of Object.entries(calls)) {
          await expect(call(proof), `${method} with ${why}`).rejects.toMatchObject({
            code: 'lease_lost',
            runId: proof.runId,
          })
        }
      }
      expect(await dump(test_)).toBe(before)
    }

    test('U3: a stale lease epoch changes nothing, by any method', async () => {
      const { proof, calls } = await listFencedCalls()
      await expectAllRefused(calls, {
        'an older epoch': { ...proof, epoch: proof.epoch - 1 },
        'a newer epoch': { ...proof, epoch: proof.epoch + 1 },
        'another holder': { ...proof, holder: 'somebody' },
        'no such run': { ...proof, runId: toId('run', 1, new Uint8Array(16)) },
      })
      test_.clock.advance(10_000_000)
      await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })
      await expectAllRefused(calls, { 'a run in the queue': proof })
      const next = await claim(store, 'coordinator-2')
      await expectAllRefused(calls, {
        'a run that another holds': proof,
        "the other's epoch": { ...proof, epoch: next.run.lease.epoch },
      })
      const same = { ...next.proof, epoch: proof.epoch }
      await expectAllRefused(calls, { 'an epoch of before': same })
    })

    test('U3: the very same calls do change something for the holder', async () => {
      const { calls } = await listFencedCalls()
      for (const method of Object.keys(calls)) {
        const fresh = await open()
        store = fresh.store
        const again = await listFencedCalls()
        const seq = (await store.read.getFigures()).lastEventSeq
        await again.calls[method]?.(again.proof)
        // Translating to the same workflow once more is the one call that is meant to change nothing.
        const isChange = (await store.read.getFigures()).lastEventSeq > seq
        expect(isChange, method).toBe(method !== 'translateRun')
        await fresh[Symbol.asyncDispose]()
      }
      store = test_.store
    })

    test('U3: an outside agent that lost its lease is refused the same way', async () => {
      const project = await store.write.createProject({ key: 'OUT', name: 'x', actor: 'test' })
      await store.write.createTicket({ projectId: project.id, title: 't', actor: 'test' })
      const first = await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 10 })
      if (first === undefined) throw new Error('nothing claimed')
      expect(first.run.workflow).toBe(EXTERNAL_WORKFLOW)
      test_.clock.advance(10)
      await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })
      const before = await dump(test_)
      await expect(
        store.write.finishRun({
          ...toProof(first),
          outcome: { status: 'succeeded', outputs: { late: 1 }, ticket: 'done' },
        }),
      ).rejects.toMatchObject({ code: 'lease_lost' })
      expect(await dump(test_)).toBe(before)
    })

    test("U4: the database's table of moves is the domain's", async () => {
      const rows = await test_.withSql((sql) =>
        sql.all('select thing, from_status, to_status from status_transitions'),
      )
      const expected = Object.entries(TRANSITIONS).flatMap(([thing, moves]) =>
        Object.entries(moves).flatMap(([from, targets]) =>
          targets.map((to: string) => `${thing} ${from} ${to}`),
        ),
      )
      expect(
        rows.map(({ thing, from_status, to_status }) => `${thing} ${from_status} ${to_status}`).toSorted(),
      ).toEqual(expected.toSorted())
    })

    const TABLES: Readonly<Record<Thing, { table: string; columns: (status: string) => string }>> = {
      ticket: { table: 'tickets', columns: (s) => finished('ticket', s) },
      run: {
        table: 'runs',
        columns: (s) =>
          `${finished('run', s)}, lease_holder = ${s === 'running' ? "'h'" : 'null'}, lease_expires_at = ${s === 'running' ? 1 : 'null'}`,
      },
      step: { table: 'steps', columns: (s) => finished('step', s) },
      attempt: { table: 'attempts', columns: (s) => finished('attempt', s) },
      sandbox: { table: 'sandboxes', columns: () => 'reason = null' },
      pull_request: {
        table: 'pull_requests',
        columns: (s) => `merged_at = ${s === 'merged' ? 1 : 'null'}`,
      },
      effect: { table: 'effects', columns: (s) => finished('effect', s) },
    }

    function finished<T extends Thing>(thing: T, status: string): string {
      return `finished_at = ${isTerminal(thing, status as never) ? 1 : 'null'}`
    }

    async function addOneOfEach(): Promise<void> {
      const { proof, ticket, project } = await beginScene(store)
      const host = await store.write.registerHost({
        name: 'h',
        holder: HOLDER,
        pid: 1,
        bootId: 'b',
        slotCount: 1,
      })
      const { instance, attempt } = await beginAttempt(store, proof)
      await store.write.createSandboxEntry({
        ...proof,
        id: toId('sandbox', 1, new Uint8Array(16)),
        hostId: host.id,
        driver: 'fake',
        stepInstanceId: instance.id,
        attemptId: attempt.id,
      })
      await store.write.enqueueEffect({
        key: 'k',
        kind: 'http_request',
        payload: {},
        ticketId: ticket.id,
        actor: 'test',
      })
      await store.write.upsertPullRequest({
        projectId: project.id,
        ticketId: ticket.id,
        runId: proof.runId,
        forge: 'local',
        title: '',
        body: '',
        branch: 'b',
        baseBranch: 'main',
        headCommit: 'h',
        baseCommit: 'b',
        diff: '',
        isDiffTruncated: false,
        additionCount: 0,
        deletionCount: 0,
        changedFiles: [],
        url: null,
      })
    }

    test('U4: an illegal transition is refused by the database: every pair of statuses, in plain SQL', async () => {
      await addOneOfEach()
      await test_.withSql(async (sql) => {
        for (const [thing, { table, columns }] of Object.entries(TABLES) as [
          Thing,
          (typeof TABLES)[Thing],
        ][]) {
          for (const from of listStatuses(thing)) {
            // Only so that the row can stand at `from` at all.
            const stand = () =>
              sql.withoutMoveGuard(table, () =>
                sql.exec(`update ${table} set status = '${from}', ${columns(from)}`),
              )
            await stand()
            for (const to of listStatuses(thing)) {
              const move = sql.exec(`update ${table} set status = '${to}', ${columns(to)}`)
              if (from !== to && !isTransition(thing, from as never, to as never)) {
                await expect(move, `${thing}: ${from} to ${to}`).rejects.toThrow(/illegal transition/)
                continue
              }
              await move
              await stand()
            }
            const odd = sql.exec(`update ${table} set status = 'in_progress', ${columns('x')}`)
            await expect(odd, `${thing}: ${from} to an unknown word`).rejects.toThrow(
              /illegal transition|check/i,
            )
          }
        }
      })
    })

    test("U4: the statuses that the database lets in are the domain's, and rows begin where they may", async () => {
      await addOneOfEach()
      await test_.withSql(async (sql) => {
        for (const [thing, { table }] of Object.entries(TABLES)) {
          expect(await sql.listStatuses(table)).toEqual(listStatuses(thing as Thing))
        }
        const others = { id: "'x'", key: "'K'", number: '99', status: "'done'", finished_at: '1' }
        await expect(sql.exec(await again(sql, 'tickets', others))).rejects.toThrow(/illegal transition/)
      })
    })

    /** The row once more, with other values in some columns. */
    async function again(
      sql: TestSql,
      table: string,
      others: Readonly<Record<string, string>>,
      of = '',
    ): Promise<string> {
      const columns = await sql.listColumns(table)
      const values = columns.map((column) => others[column] ?? column)
      return `insert into ${table} (${columns.join(', ')}) select ${values.join(', ')} from ${table} ${of}`
    }

    test('the database keeps what is promised of rows: one live run, one sandbox, growing epochs, fixed events', async () => {
      await addOneOfEach()
      await test_.withSql(async (sql) => {
        const refused = async (statement: string, why: RegExp) =>
          await expect(sql.exec(statement), statement).rejects.toThrow(why)
        const { check, notNull, type, foreignKey, unique } = sql.refusals
        await refused("update events set type = 'x'", /never changed/)
        await refused('update runs set lease_epoch = 0', /never falls/)
        await refused('update steps set attempt_count = 0', /never falls/)
        await refused('update tickets set priority = 6', check)
        await refused('update tickets set dead_at = 1', check)
        await refused('update runs set lease_holder = null', check)
        await refused('update steps set kind = null', notNull)
        await refused("update tickets set number = 'many'", type)
        await refused("update attempts set run_id = 'none'", foreignKey)
        await refused('insert into ticket_dependencies select id, id from tickets limit 1', check)
        // Under another name: only a rule on several rows can refuse it.
        const other = { id: "'other'", number: '99', key: "'99'" }
        await refused(await again(sql, 'sandboxes', other), unique)
        await refused(await again(sql, 'attempts', other), unique)
        await refused(await again(sql, 'pull_requests', other), unique)
        const step = { ...other, status: "'pending'" }
        await refused(await again(sql, 'steps', step, "where key = 'step'"), unique)
        await refused(await again(sql, 'runs', other), unique)
      })
    })
  })
}
