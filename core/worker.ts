/** Several processes side by side: where in them a component runs, and which of them this one is. */
import type { Signal } from '../proto/signals.ts'
import { HostKey } from './host.ts'

/** Which of several processes this one is. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number
  readonly count: number
}

/** What a supervisor tells each of its processes; where there is none, it is `soleWorker`. */
export const workerKey = new HostKey<WorkerPlace>('worker')

/** The place of a process that is the only one. */
export const soleWorker: WorkerPlace = { index: 0, count: 1 }

/** Where a component runs. */
export type Placement =
  /** In each process, with what comes in there. */
  | 'each'
  /** In one of them, which is handed what comes in at the others: what it has exists once. */
  | 'one'
  /** In each, with what belongs together by this, wherever it comes in. */
  | { readonly by: 'trace' | 'series' | 'stream' | 'partition' }

/** Where a component runs, where that differs by signal of each. */
export type PlacementBySignal = Placement | Readonly<Record<Signal, Placement>>

/** Where a component runs with data of `signal`. Of what does not say, there is one. */
export function runsOf({ runs = 'one' }: { readonly runs?: PlacementBySignal }, signal: Signal): Placement {
  return typeof runs === 'string' || 'by' in runs ? runs : runs[signal]
}

/** The same for a reader: `each`, `by series`; `by series (metrics), each (traces, logs)`. */
export function runsText({ runs = 'one' }: { readonly runs?: PlacementBySignal }): string {
  if (typeof runs === 'string' || 'by' in runs) return wordOf(runs)
  const signalsOf = new Map<string, string[]>()
  for (const [signal, one] of Object.entries(runs))
    signalsOf.set(wordOf(one), [...(signalsOf.get(wordOf(one)) ?? []), signal])
  return [...signalsOf].map(([word, signals]) => `${word} (${signals.join(', ')})`).join(', ')
}

const wordOf = (runs: Placement): string => (typeof runs === 'string' ? runs : `by ${runs.by}`)
