import type { Books } from '../../core/books.ts'
import type { Kind } from '../../core/component.ts'
import type { Host } from '../../core/host.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { State, Status } from '../../core/status.ts'

/** What the graph needs of the process it runs in. */
export interface GraphProcess {
  readonly host: Host
  readonly log: Logger
  readonly books: Books
  readonly journal: Journal
  readonly onStatus?: (component: { kind: Kind; id: string }, status: Status, from: State) => void
}
