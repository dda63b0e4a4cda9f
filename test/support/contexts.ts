/** What components are given, for tests that run one by itself. */
import type { Batch } from '../../core/batch.ts'
import { Books, Reasons } from '../../core/books.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { finderFor } from '../../core/capability.ts'
import { machineClock } from '../../core/clock.ts'
import type { ComponentContext, ProcessorContext, ReceiverContext } from '../../core/component.ts'
import { Entrance } from '../../core/entrance.ts'
import { Host } from '../../core/host.ts'
import { silent } from '../../core/logger.ts'
import { Rooms } from '../../core/room.ts'
import { Status } from '../../core/status.ts'
import { soleWorker } from '../../core/worker.ts'
import type { Reason } from '../../core/verdict.ts'
import { Holding } from '../../pipelines/flow/holding.ts'
import type { Signal } from '../../proto/signals.ts'

/** What every component is given; `given` goes before. */
export function componentContext<Given extends Partial<ComponentContext>>(given: Given) {
  const extension = finderFor({ id: given.id ?? 'test' }, () => undefined)
  const usual = { id: 'test', log: silent, status: new Status(), extension, worker: soleWorker, clock: machineClock }
  // That of an exporter, too.
  return { host: new Host(), reached() {}, ...usual, ...given }
}

/** What a receiver is given: its batches go to `push`. Its host has a budget. */
export function receiverContext(
  given: Partial<ReceiverContext> & { readonly signals: ReadonlySet<Signal>; push(batch: Batch): void },
): ReceiverContext {
  const context = componentContext(given)
  const { id, host, clock, push } = context
  const budget = host.find(budgetKey) ?? new Budget(1 << 30)
  const entrance = new Entrance(budget, push)
  const books = new Books()
  return {
    origin: ({ transport, peer }) => ({ receiver: id, transport, peer, metadata: undefined, auth: undefined }),
    enter: (...request) => entrance.enter(...request),
    enterJson: (...request) => entrance.enterJson(...request),
    rooms: new Rooms(budget, clock, push),
    books: signal => books.node({ kind: 'receiver', id, pipeline: '', signal }),
    door: () => {},
    ...context,
  }
}

/** What a processor is given that runs by itself: what it ends is noted, what it keeps is counted by `holding`. */
export function processorContext(given: Partial<ProcessorContext> = {}): {
  context: ProcessorContext
  holding: Holding
  ended: [batch: Batch, reason: string][]
  failed: [batch: Batch, error: unknown][]
} {
  const ended: [Batch, string][] = []
  const failed: [Batch, unknown][] = []
  const base = componentContext(given)
  const end = (batch: Batch, { counter }: Reason): void => void ended.push([batch, counter.reason])
  const fail = (batch: Batch, error: unknown): void => void failed.push([batch, error])
  const holding = new Holding({
    answers: () => false,
    mayEmit: () => true,
    now: () => base.clock.now(),
    budget: () => base.host.get(budgetKey),
    kept() {},
    offer: (batch, next) => next(batch),
    made() {},
    end,
    malformed: () => ({ kind: 'rejected', counter: new Reasons().of('malformed') }),
    refuse: fail,
    consumed: (batch, isSettled) => (isSettled ? batch.accept() : batch.replace()),
    giveBack: fail,
    fault() {},
    stale() {},
    failing() {},
  })
  const context: ProcessorContext = {
    pipeline: 'traces',
    signal: 'traces',
    downstream: { inFlight: 0, closed: false, onIdle: () => () => {} },
    apart: () => [],
    reason: (name, kind) => ({ kind, counter: new Reasons().of(name) }),
    end,
    fail,
    fault() {},
    refuse: fail,
    holding: {
      inFlight: 0,
      isAwaited: false,
      attach: (holder, emit) => holding.attach(holder, emit),
      join: held => holding.join(held),
      make: (signal, body, origin, settles = []) => holding.make(signal, body, origin, settles),
    },
    ...base,
    ...given,
  }
  return { context, holding, ended, failed }
}
