/** Waiting for what happens by itself. */
import { vi } from 'vitest'

/** Longer than anything takes on the slowest machine: what is there is seen at once all the same. */
const patience = 60_000

/** Looks again and again until `look` throws no more, and returns what it found. */
export const until = <T>(look: () => T | Promise<T>, interval?: number): Promise<T> =>
  vi.waitFor(look, { timeout: patience, ...(interval !== undefined && { interval }) })
