import type { StoreWriter } from '../../../src/store/contract.ts'

/** What coordinators write in the life of a ticket of a simulation. */
export const LIFE_WRITES = [
  'claimNext',
  'translateRun',
  'recordTake',
  'createStepInstances',
  'startAttempt',
  'createSandboxEntry',
  'createToken',
  'advanceAttempt',
  'markSandbox',
  'succeedAttempt',
  'failAttempt',
  'openWait',
  'parkRun',
  'finishRun',
  'renewLeases',
  'expireLeases',
  'expireWaits',
  'claimEffects',
  'completeEffect',
  'failEffect',
  'reclaimSendingEffects',
] as const satisfies readonly (keyof StoreWriter)[]
