import { answerRunSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { operation } from '../operation.ts'
import { toWaitBody } from '../run-body.ts'
import { chooseWait } from './choose-wait.ts'

export type AnswerRunDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function answerRun({ store, control }: AnswerRunDeps) {
  return operation(answerRunSpec, async ({ params: { runId }, body, caller, change }) => {
    const { id } = await chooseWait(store.read, { runId, kind: 'question', waitId: body.waitId })
    const outputs = { answer: body.answer, answeredBy: caller.actor }
    const resolution = { kind: 'succeeded', outputs } as const
    return await change(async (write) => {
      const wait = await write.resolveWait({ waitId: id, actor: caller.actor, resolution })
      return { status: 200, body: toWaitBody(wait), after: () => control.wake() }
    })
  })
}
