/**
 * Time within which a daemon that drains has ended, `ms`. It waits for no run: only for what is being recorded and
 * for requests that are being answered, each of which has a shorter time of its own.
 */
export const DRAIN_TIMEOUT_MS = 120_000
