import { sql } from 'kysely'
import type { JsonObject } from '../../domain/json.ts'
import type { Wait, WaitKind } from '../../domain/step.ts'
import type { NewChildRun, OpenWaitInput, WaitResolution } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { type Row, toJson, toWait } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { endWait } from './end-wait.ts'
import { insertEffect } from './insert-effect.ts'
import { insertRun } from './insert-run.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getStepRow, moveStep } from './move-step.ts'
import { getTicketRow } from './move-ticket.ts'
import { consumeSignal } from './send-signal.ts'

export async function openWait(tx: Tx, input: OpenWaitInput): Promise<Wait> {
  const run = await requireLease(tx, input)
  const instance = await getStepRow(tx, run.id, input.stepInstanceId)
  if (instance.status === 'waiting') throw new ConflictError(`step ${instance.key} waits already`)
  await moveStep(tx, instance, 'waiting', { started_at: instance.started_at ?? tx.now })
  const { subject, resolution } = await prepareSubject(tx, run, input)
  const wait = await tx.db
    .insertInto('waits')
    .values({
      id: tx.newId('wait'),
      run_id: run.id,
      step_instance_id: instance.id,
      kind: input.kind,
      subject,
      deadline_at: input.deadlineAt ?? null,
      created_at: tx.now,
      resolved_at: null,
      resolved_by: null,
      resolution: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const about = { ...aboutRun(run), actor: actorOf(run), stepInstanceId: instance.id }
  const data: JsonObject = {
    waitId: wait.id,
    kind: wait.kind,
    subject: wait.subject,
    deadlineAt: wait.deadline_at,
  }
  tx.emit({ ...about, type: 'wait.opened', data })
  tx.emit({ ...about, type: 'step.waiting', data: { key: instance.key, waitId: wait.id } })
  if (resolution === undefined) return toWait(wait)
  return toWait(await endWait(tx, wait, { actor: actorOf(run), resolution }))
}

type Prepared = { readonly subject: string; readonly resolution?: WaitResolution | undefined }

/** Makes what is waited for; what has happened already resolves the wait at once. */
async function prepareSubject(tx: Tx, run: Row<'runs'>, input: OpenWaitInput): Promise<Prepared> {
  switch (input.kind) {
    case 'effect': {
      const effect = await insertEffect(tx, {
        ...input.effect,
        ticketId: run.ticket_id,
        runId: run.id,
        stepInstanceId: input.stepInstanceId,
        actor: actorOf(run),
      })
      return { subject: effect.id, resolution: resolutionOf(effect) }
    }
    case 'run':
      return { subject: (await queueChildRun(tx, run, input, input.child)).id }
    case 'signal': {
      const signal = await consumeSignal(tx, run.id, input.subject)
      if (signal === undefined) return { subject: input.subject }
      return { subject: input.subject, resolution: { kind: 'succeeded', outputs: signal.payload } }
    }
    default:
      return { subject: input.subject }
  }
}

/** How an effect that has ended resolves what waits for it. */
export function resolutionOf(effect: Row<'effects'>): WaitResolution | undefined {
  const outputs = effect.result === null ? {} : (JSON.parse(effect.result) as JsonObject)
  if (effect.status === 'done' && effect.reason === null) return { kind: 'succeeded', outputs }
  if (effect.status !== 'done' && effect.status !== 'dead') return undefined
  return {
    kind: 'failed',
    reason: effect.reason ?? 'forge_failed',
    detail: effect.detail ?? `${effect.kind} did not succeed`,
    outputs,
  }
}

async function queueChildRun(
  tx: Tx,
  run: Row<'runs'>,
  input: OpenWaitInput,
  child: NewChildRun,
): Promise<Row<'runs'>> {
  return await insertRun(tx, await getTicketRow(tx, run.ticket_id), {
    status: 'queued',
    workflow_id: child.workflowId,
    workflow: child.workflow,
    inputs: toJson(child.inputs),
    pins: toJson({ ...child.pins }),
    parent_step_instance_id: input.stepInstanceId,
  })
}

/** The open wait for this effect, run or signal, if any. */
export async function findOpenWait(
  tx: Tx,
  kind: WaitKind,
  subject: string,
): Promise<Row<'waits'> | undefined> {
  return await tx.db
    .selectFrom('waits')
    .selectAll()
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .where('resolved_at', 'is', sql.lit(null))
    .executeTakeFirst()
}
