/** The shapes most steps have. */
import { Observable } from 'rxjs'
import { Batch } from '../core/batch.ts'
import type { ProcessorContext, Step } from '../core/component.ts'
import { elementAt } from '../core/element-at.ts'
import type { Holder } from '../core/holding.ts'
import type { Reason, Verdict } from '../core/verdict.ts'
import type { ItemIndex } from '../proto/item-index.ts'
import { DROP, FAILED, KEEP, MALFORMED, REPLACE, rewriteItems, type Visitor } from '../proto/rewrite.ts'

/**
 * A stateless step: `judge` is called for each batch and says what becomes of it, without doing it. A throw refuses that
 * batch and no other.
 */
export function each(context: ProcessorContext, judge: (batch: Batch) => Batch | Verdict): Step {
  return source =>
    new Observable<Batch>(subscriber =>
      source.subscribe({
        next: batch => {
          let verdict: Batch | Verdict
          try {
            verdict = judge(batch)
          } catch (error) {
            return context.fail(batch, error)
          }
          if (verdict instanceof Batch) return subscriber.next(verdict)
          for (const { batch: part, reason } of verdict.ends) context.end(part, reason)
          if (verdict.passes !== undefined) subscriber.next(verdict.passes)
        },
        error: error => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    )
}

/** A step that keeps data: `holder` is called with what comes, and what it emits goes on. */
export function holding(context: ProcessorContext, holder: Holder): Step {
  return source =>
    new Observable<Batch>(subscriber => {
      const attached = context.holding.attach(holder, batch => subscriber.next(batch))
      const subscription = source.subscribe({
        next: batch => attached.take(batch),
        error: error => subscriber.error(error),
        complete: () => {
          attached.flush()
          subscriber.complete()
        },
      })
      return () => {
        subscription.unsubscribe()
        attached.detach()
      }
    })
}

/** Lets a visitor decide on the scopes and items of a batch. */
export type ItemJudge = (batch: Batch) => Batch | Verdict

/**
 * Makes of a visitor what judges batches; `reasons` are those it drops for, by number. An item that cannot be read is taken
 * out and rejected as `malformed`; one on which the visitor fails otherwise as `step_failed`, unless it fails on all.
 */
export function itemJudge(context: ProcessorContext, visitor: Visitor, reasons: readonly Reason[] = []): ItemJudge {
  const malformed = context.reason('malformed', 'rejected')
  const failed = context.reason('step_failed', 'rejected')
  return batch => {
    const { groups, gone, error, made } = rewriteItems(batch.signal, batch.groups, visitor)
    // Nothing went, so that no group is missing.
    if (gone.length === 0) return made === 0 ? batch : batch.withGroups(groups as typeof batch.groups, made)
    const ends = gone.map(({ reason: number, counts, items }) => {
      if (number === FAILED && items === batch.items) throw error
      const reason = number === MALFORMED ? malformed : number === FAILED ? failed : elementAt(reasons, number)
      return { batch: batch.takenOut(counts), reason }
    })
    if (error !== undefined) context.fault(error)
    return { passes: batch.withoutItems(groups, made), ends }
  }
}

/**
 * A stateless step on single items: `judge` is asked of each, with an index of the fields it reads, and says for which
 * reason it goes; undefined keeps it, with what was set in the index.
 */
export function items(
  context: ProcessorContext,
  index: ItemIndex,
  judge: (item: ItemIndex) => Reason | undefined,
): Step {
  const reasons: Reason[] = []
  const visitor: Visitor = {
    item(bytes, start, end, out) {
      index.load(bytes, start, end)
      const reason = judge(index)
      if (reason === undefined) return index.write(out) ? REPLACE : KEEP
      const known = reasons.indexOf(reason)
      return DROP + (known < 0 ? reasons.push(reason) - 1 : known)
    },
  }
  return each(context, itemJudge(context, visitor, reasons))
}
