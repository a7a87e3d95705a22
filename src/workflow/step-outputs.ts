import { type Catalogue, toPlainName } from './catalogue.ts'
import { mayHoldReference } from './reference.ts'
import {
  ANY,
  BOOLEAN,
  NUMBER,
  OPEN_OBJECT,
  type Shape,
  TEXT,
  toRecordShape,
  toShapeOfSchema,
} from './value-type.ts'
import type { Step, StepKind } from './workflow.ts'

const NOTHING: Shape = { kind: 'object', fields: {}, isOpen: false }
const LIST: Shape = { kind: 'array', element: ANY }

/**
 * What an instance of each kind gives back. The step executor writes exactly these; `agent`, `workflow` and
 * waiting for a signal give what the other side says.
 */
export const STEP_OUTPUTS: Readonly<Record<StepKind, Shape>> = {
  agent: OPEN_OBJECT,
  /** As the shipped agent `script` */
  run: { kind: 'object', isOpen: false, fields: { exitCode: NUMBER, stdout: TEXT } },
  /** `result`: passed, failed, error or skipped; `checks`: one {command, result, exitCode} per command */
  verify: { kind: 'object', isOpen: false, fields: { result: TEXT, checks: LIST } },
  approve: { kind: 'object', isOpen: false, fields: { approved: BOOLEAN, approvedBy: TEXT, comment: TEXT } },
  /** `number` and `url` only where the forge has pull requests */
  'pull-request': {
    kind: 'object',
    isOpen: false,
    fields: { number: NUMBER, url: TEXT, branch: TEXT, commit: TEXT },
  },
  /** As the shipped agent `http-fetch` */
  http: { kind: 'object', isOpen: false, fields: { status: NUMBER, headers: OPEN_OBJECT, body: ANY } },
  workflow: OPEN_OBJECT,
  wait: OPEN_OBJECT,
}

/** The engine adds the commit that a child run ended with to its outputs. */
const CHILD_COMMIT = 'commit'

/** The outputs of one instance of the step. */
export function toInstanceOutputs(step: Step, catalogue: Catalogue): Shape {
  if (step.outputs !== undefined) return toRecordShape(step.outputs)
  if (step.kind === 'wait' && 'for' in step.until) return NOTHING
  if (step.kind === 'agent' && !mayHoldReference(step.agent)) {
    const outputs = toShapeOfSchema(catalogue.agents?.get(toPlainName(step.agent))?.outputs)
    return outputs.kind === 'any' ? OPEN_OBJECT : outputs
  }
  if (step.kind === 'workflow' && !mayHoldReference(step.workflow)) {
    const names = catalogue.workflows?.get(toPlainName(step.workflow))?.outputs
    if (names === undefined) return OPEN_OBJECT
    return {
      kind: 'object',
      isOpen: false,
      fields: Object.fromEntries([...names, CHILD_COMMIT].map((name) => [name, ANY])),
    }
  }
  return STEP_OUTPUTS[step.kind]
}

/** `steps.<id>.outputs`: of a `for-each` step the list of its instances' outputs. */
export function toStepOutputs(step: Step, catalogue: Catalogue): Shape {
  const outputs = toInstanceOutputs(step, catalogue)
  return step.forEach === undefined ? outputs : { kind: 'array', element: outputs }
}
