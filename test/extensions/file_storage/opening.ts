/** A log on a simulated disk. */
import { setImmediate as turn } from 'node:timers/promises'
import { type Logger, silent } from '../../../core/logger.ts'
import type { DurableQueue, StoredRecord } from '../../../core/storage.ts'
import { Log, type LogTerms } from '../../../extensions/file_storage/log.ts'
import { batchOf, namesOf } from '../../support/batches.ts'
import { SimulatedClock } from './simulated-clock.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** Where the log stands on the simulated disk. */
export const directory = '/disk'

/** What was logged. */
export interface Lines {
  readonly log: Logger
  readonly errors: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[]
  readonly warnings: string[]
}

export function lines(): Lines {
  const errors: Lines['errors'] = []
  const warnings: string[] = []
  const log: Logger = {
    ...silent,
    error: (fields, message) => void errors.push({ fields, message }),
    warn: (_fields, message) => void warnings.push(message),
  }
  return { log, errors, warnings }
}

/** Opens a log with segments of 64 KiB. */
export function openLog(
  disk: SimulatedDisk,
  more: Partial<LogTerms> & { readonly clock?: SimulatedClock } = {},
): Promise<Log> {
  return Log.open({
    directory,
    files: disk,
    clock: new SimulatedClock(),
    log: silent,
    segmentSize: 64 * 1024,
    maxSize: 1 << 24,
    fsync: true,
    syncTimeout: 10_000,
    isEager: false,
    ...more,
  })
}

/** Names of the spans of a record. */
export const namesIn = (record: StoredRecord | undefined): string[] | undefined =>
  record && namesOf(batchOf(record.payload))

/** All that a queue has from `after` on. */
export async function allOf(queue: DurableQueue, after?: StoredRecord): Promise<StoredRecord[]> {
  const all: StoredRecord[] = []
  for (let last = await queue.next(after); last !== undefined; last = await queue.next(last)) all.push(last)
  return all
}

/** Lets the log do what it can do without time passing. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await turn()
}
