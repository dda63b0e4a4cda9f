/** What a step is given that keeps data: handles of its node, which counts them, charges them and knows their senders. */
import type { Signal } from '../proto/signals.ts'
import type { KeyOf } from '../proto/split.ts'
import type { Batch } from './batch.ts'
import type { Context } from './context.ts'
import type { DeliveryError } from './errors.ts'
import type { Reason } from './verdict.ts'

/**
 * Data that a step keeps. It belongs to the node, not to the instance of the step, and ends once: by one of its methods that
 * return nothing, by `consume`, or as what is made of it. A second use does nothing and is counted as a fault.
 */
export interface Held {
  /** Spans, log records, data points. */
  readonly items: number
  /** Bytes of memory that it keeps. */
  readonly bytes: number
  /** When its node was handed it, in milliseconds of the clock; also after a reload. */
  readonly since: number
  readonly signal: Signal
  readonly origin: Context
  /** Whether a sender waits for it. */
  readonly awaited: boolean
  /** The data, to be read and not to be kept or ended. */
  readonly batch: Batch
  /** The first `items` items, and the rest. */
  cut(items: number): readonly [head: Held, rest: Held | undefined]
  /**
   * In parts by the key of each item, in memory of their own; what cannot be read is rejected. Where there is one key only,
   * the part is this.
   * @throws DeliveryError where there is no memory: left to the node, the senders are asked to come again
   */
  split(keyOf: KeyOf): ReadonlyMap<string, Held>
  /** Hands it on once the step has returned: alone, or together with what is handed on before and after it. */
  emit(alone?: 'alone'): void
  drop(reason: Reason): void
  /** Asks its senders to come again; they are waiting still only within `take`. */
  refuse(error: DeliveryError): void
  /** Ends it as what other data was derived from: its senders hear success, and a source behind it that it is settled. */
  consume(): void
  /** Ends it as what other data will stand in the place of: a source behind it hears that it is settled once that is. */
  replace(): Receipt
}

/** For data that was replaced: what is made in its place settles it. */
export interface Receipt {
  readonly items: number
}

/** A step that keeps data. It is called for one thing at a time; what it emits leaves when it has returned. */
export interface Holder {
  /** It runs from now on. */
  start?(): void
  /** It runs no more. */
  stop?(): void
  /** Takes over what came, oldest first. What it throws ends `held` and what was made of it, and nothing else. */
  take(held: Held): void
  /** Nothing comes any more: emits or ends what it keeps. */
  flush(): void
  /** Nothing of the pipeline is on its way any more. */
  idle?(): void
  /** Memory is short: should let go of about so many bytes. Where the way out is closed, emitting frees nothing. */
  pressure?(bytes: number, mayEmit: boolean): void
  /** What the instance after it may use that is no data: caches, baselines. */
  leave?(): unknown
  /** Takes over what the instance before it left, and says whether it could; else it starts empty. */
  adopt?(state: unknown): boolean
}

/** A holder at work, as its step drives it. */
export interface Attached {
  take(batch: Batch): void
  flush(): void
  detach(): void
}

/** What a node offers to a step that keeps data. */
export interface HoldingPort {
  /** Batches that its pipeline has handed to destinations and that have not ended. */
  readonly inFlight: number
  /** Whether senders wait for what is taken now to be handed on: as the plan says, and while a slow destination holds them back. */
  readonly isAwaited: boolean
  /** For `holding` of processors/steps.ts: `holder` is the instance that runs from now on, `emit` is where it hands on to. */
  attach(holder: Holder, emit: (batch: Batch) => void): Attached
  /** One of several, which end as what they are now part of. */
  join(held: readonly Held[]): Held
  /** Hands on data that was made here, an OTLP request; what it stands in the place of is settled with it. */
  make(signal: Signal, body: Buffer, origin: Context, settles?: readonly Receipt[]): void
}
