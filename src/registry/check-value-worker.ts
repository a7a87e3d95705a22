/** Runs in a thread: one check, then it ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { type CheckRequest, checkNow } from './check-value.ts'

parentPort?.postMessage(checkNow(workerData as CheckRequest))
