/** What components are given, for tests that run one by itself. */
import type { Batch } from '../../core/batch.ts'
import { Books } from '../../core/books.ts'
import { Budget } from '../../core/budget.ts'
import { machineClock } from '../../core/clock.ts'
import type { ComponentContext, ReceiverContext } from '../../core/component.ts'
import { Entrance } from '../../core/entrance.ts'
import { Host } from '../../core/host.ts'
import { silent } from '../../core/logger.ts'
import { Rooms } from '../../core/room.ts'
import { Status } from '../../core/status.ts'
import { budgetKey } from '../../net/admission.ts'
import type { Signal } from '../../proto/signals.ts'

/** What every component is given; `given` goes before. */
export function componentContext<Given extends Partial<ComponentContext>>(given: Given) {
  const usual = { id: 'test', log: silent, status: new Status(), extension: () => undefined, clock: machineClock }
  return { host: new Host(), ...usual, ...given }
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
