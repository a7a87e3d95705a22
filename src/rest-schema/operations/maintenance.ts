import {
  backupReportSchema,
  collectGarbageBody,
  createBackupBody,
  garbageReportSchema,
} from '../maintenance.ts'
import { defineOperation } from '../operation.ts'

const tag = 'maintenance'

export const collectGarbageSpec = defineOperation({
  id: 'collectGarbage',
  method: 'post',
  path: '/v1/gc',
  tag,
  summary: 'Remove what has ended and is older or more than configured; answers when it is done',
  scope: 'admin',
  body: collectGarbageBody,
  answer: { kind: 'json', statuses: [200], schema: garbageReportSchema },
})

export const createBackupSpec = defineOperation({
  id: 'createBackup',
  method: 'post',
  path: '/v1/backups',
  tag,
  summary: "Copy everything that is needed to go on into a new folder on the daemon's host",
  description: 'Answers when it is done; hanging up gives it up and leaves nothing.',
  scope: 'admin',
  body: createBackupBody,
  answer: { kind: 'json', statuses: [201], schema: backupReportSchema },
})
