/** Records before they have a place. */
import type { Batch } from '../../core/batch.ts'
import type { Context } from '../../core/context.ts'
import type { Note } from '../../core/storage.ts'
import type { SteadyTime } from './clock.ts'
import type { Pending } from './group.ts'
import type { Owners } from './owners.ts'
import { payloadOf } from './payload.ts'
import { type Draft, encodeContext, encodeMeta } from './record.ts'

/** Makes drafts of what is appended. */
export class Drafter {
  readonly #time: SteadyTime
  /** Many requests have one context: that of their connection. */
  readonly #contexts = new WeakMap<Context, string>()

  constructor(time: SteadyTime) {
    this.#time = time
  }

  /** A batch, with its checksum: made while the disk is busy with what came before. */
  batch(batch: Batch, note: Note | undefined): Pending {
    const payload = payloadOf(batch.groups)
    let context = this.#contexts.get(batch.context)
    if (context === undefined) {
      context = encodeContext(batch.context)
      this.#contexts.set(batch.context, context)
    }
    const draft: Draft = {
      kind: 'batch',
      signal: batch.signal,
      at: this.#time.now(),
      items: batch.items,
      details: { context, rest: encodeMeta({ shares: batch.shares, note }) },
      payloadLength: payload.length,
      payloadCrc: payload.crc,
    }
    return { draft, payload, waiters: [], isClosed: false }
  }

  /** What is known of all owners. */
  snapshot(owners: Owners): Draft {
    const details = { context: '', rest: owners.snapshot }
    const common = { kind: 'snapshot', signal: 'traces', items: 0, payloadLength: 0, payloadCrc: 0 } as const
    return { ...common, at: this.#time.now(), details }
  }
}
