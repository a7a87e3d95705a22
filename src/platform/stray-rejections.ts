/**
 * A promise that nobody waited for and that failed does not end the process: every loop has its own end, and every
 * write is fenced, so the others are better served by going on. An exception that nobody caught still ends it.
 * @returns what undoes it
 */
export function surviveStrayRejections(report: (reason: unknown) => void): () => void {
  process.on('unhandledRejection', report)
  return () => void process.off('unhandledRejection', report)
}
