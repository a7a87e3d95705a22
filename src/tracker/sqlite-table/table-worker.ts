/** Thread that works on the file of another program: one call at a time, nothing held between two calls. */
import { parentPort, workerData } from 'node:worker_threads'
import { type FetchByStatesInput, TrackerError, type TrackerPage } from '../contract.ts'
import { takeRow, writeBackRow } from './change-row.ts'
import { checkTable } from './check-table.ts'
import { assertWritable, type OpenFile, type Patience, readRevision, withFile } from './open-file.ts'
import { readByIds, readPage, type Source } from './read-tickets.ts'
import { resolveTable } from './resolve-table.ts'
import type { TableCall, TableCalls, TableReply, TableRequest, TableWorkerData } from './table-protocol.ts'
import { toTrackerError } from './to-tracker-error.ts'

const port = parentPort
if (port === null) throw new Error('this file is the body of a worker thread')

const { mapping, busyTimeoutMs } = workerData as TableWorkerData

port.on('message', (request: TableRequest) => port.postMessage(answer(request)))

function answer(request: TableRequest): TableReply {
  try {
    return { kind: 'answer', answer: perform(request) }
  } catch (raw) {
    const error = toTrackerError(raw, mapping.path)
    if (error instanceof TrackerError) {
      return { kind: 'trouble', code: error.code, message: error.message, fix: error.fix }
    }
    return {
      kind: 'mistake',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }
  }
}

function perform({ call, input, abandoned }: TableRequest): TableCalls[TableCall]['answer'] {
  const patience = { busyTimeoutMs, abandoned }
  // The client pairs each call with its input.
  switch (call) {
    case 'check':
      return checkTable(mapping, patience)
    case 'fetchByStates':
      return fetchByStates(input as FetchByStatesInput, patience)
    case 'fetchByIds':
      return read(patience, (source) => readByIds(source, input as readonly string[]))
    case 'take':
      return write(patience, (source) => takeRow(source, input as TableCalls['take']['input'], Date.now()))
    case 'writeBack':
      return write(patience, (source) => writeBackRow(source, input as TableCalls['writeBack']['input']))
    default:
      return call satisfies never
  }
}

function fetchByStates(input: FetchByStatesInput, patience: Patience): TrackerPage {
  // What could not be taken is not mirrored.
  assertWritable(mapping.path)
  // Before anything is read: what is written from here on makes another revision.
  const revision = readRevision(mapping.path, Date.now())
  const isFirst = input.cursor === undefined
  if (isFirst && revision !== null && revision === input.unlessRevision) return { kind: 'unchanged' }
  return read(patience, (source) => ({ kind: 'page', ...readPage(source, input), revision }))
}

function read<T>(patience: Patience, work: (source: Source) => T): T {
  return withFile({ path: mapping.path, access: 'read', patience }, (file) =>
    file.reading(() => work(toSource(file))),
  )
}

function write<T>(patience: Patience, work: (source: Source) => T): T {
  return withFile({ path: mapping.path, access: 'write', patience }, (file) =>
    file.writing(() => work(toSource(file))),
  )
}

function toSource(file: OpenFile): Source {
  return { file, mapping, table: resolveTable(file, mapping) }
}
