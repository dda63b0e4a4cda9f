/** What a process knows of those who send to it. */
import { Account } from './account.ts'
import type { Budget } from './budget.ts'
import type { Chronicle } from './chronicle.ts'
import type { Clock } from './clock.ts'
import { Dismissals } from './dismissal.ts'
import { HostKey } from './host.ts'
import type { Logger } from './logger.ts'
import { SenderTable } from './sender.ts'
import { Shortages } from './shortage.ts'

/** What the process knows. */
export const sendersKey = new HostKey<Senders>('senders')

/** Who they are, what of theirs was turned away, and for want of what. */
export class Senders {
  readonly table: SenderTable
  readonly dismissals: Dismissals
  readonly shortages: Shortages

  constructor(budget: Budget | undefined, clock: Clock, log?: Logger, chronicle?: Chronicle) {
    this.table = new SenderTable(new Account(budget, 'service', 'senders'))
    this.dismissals = new Dismissals(new Account(budget, 'service', 'senders'), log)
    this.shortages = new Shortages(clock, log, chronicle)
  }

  /** Nothing is kept any more. */
  close(): void {
    this.table.close()
    this.dismissals.close()
    this.shortages.close()
  }
}
