/** What the books, the journal, the log and the senders hear when an entry ends, one way or the other. */
import type { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { Chronicle } from '../../core/chronicle.ts'
import type { Sent } from '../../core/component.ts'
import { done } from '../../core/delivery.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { Status } from '../../core/status.ts'
import type { AttemptListener } from './attempt.ts'
import type { Claim } from './claim.ts'
import type { Entry } from './entry.ts'

/** What is said of data on disk that is given up. */
export const keptTooLong = 'older than the storage keeps data (`max_age`)'

/** What ends: an entry, or what of it was settled. */
export type EntryEnding = Pick<Entry, 'batch' | 'claim'>

/** Who hears it. */
export interface EndParts {
  readonly books: NodeBooks
  readonly journal: Journal
  readonly log: Logger
}

/** What there is to do about attempts, but for their ends. */
export function attemptEnds(parts: EndParts & { readonly status: Status }): Omit<AttemptListener, 'ended'> {
  return {
    settled: ({ claim }, batch, sent, took) => endDelivered(parts, { batch, claim }, sent, took),
    maybeTwice: items => void (parts.books.maybeTwice += items),
    fault: error => endedBadly(parts, error),
    tell: text => parts.status.tell(text),
  }
}

/** What heard that an attempt is over threw: a fault of ours, which ends nothing. */
function endedBadly({ books, log }: EndParts, error: unknown): void {
  books.internalFaults++
  log.error({ error: messageOf(error) }, 'exporter failed when an attempt was cancelled')
}

/** The destination has it, or all but what it says; `took` milliseconds after it was sent. */
export function endDelivered(
  { books, journal, log }: EndParts,
  entry: EntryEnding,
  sent: Sent | undefined,
  took: number,
) {
  const { batch, claim } = entry
  // Whatever an exporter says, no more than there is.
  const rejected = Math.max(0, Math.min(Math.floor(sent?.rejected ?? 0) || 0, batch.items))
  const delivered = batch.items - rejected
  if (delivered > 0) journal.follow(books.name, 'delivered', batch, { took, most: delivered })
  books.delivered += delivered
  claim.settle(delivered, 'delivered', batch.shares)
  claim.settle(rejected, 'rejected', batch.shares)
  claim.delivered = true
  if (sent !== undefined && (rejected > 0 || sent.message !== '')) {
    let rest = rejected
    for (const [reason, count] of Object.entries({ ...sent.reasons, partial_success: rejected })) {
      const of = Math.min(count, rest)
      if (of <= 0) continue
      rest -= of
      books.rejected.of(reason).value += of
      journal.note(books.name, 'rejected', batch, reason, ofWhich(batch, of, sent.message), { most: of })
    }
    const fields = { rejected, of: batch.items, message: sent.message }
    if (delivered === 0) log.error(fields, 'destination answered, and took nothing of the batch: it is lost')
    else log.warn(fields, 'destination took the batch in part')
  }
  batch.acceptInPart(rejected, sent?.message ?? '')
}

/** What was said of `items` of a batch: of several requests, nobody knows whose they are. */
function ofWhich({ items: all, shares }: Batch, items: number, message: string): string {
  if (shares.length === 1) return message
  return `${items} of ${all} items, of ${shares.length} requests that were sent as one: whose is not said; ${message}`
}

/** The destination refuses it for good. */
export function endRejected({ books, journal, log }: EndParts, entry: Entry, error: DeliveryError, reason: string) {
  const { batch } = entry
  entry.claim.settle(batch.items, 'rejected', batch.shares)
  books.rejected.of(reason).value += batch.items
  journal.note(books.name, 'rejected', batch, reason, error.message)
  log.error({ items: batch.items, code: error.code, error: error.message }, 'destination rejected data for good')
  batch.reject(error.message)
}

/** No decoder would read it: taken out of what `claim` stands for. */
export function endMalformed({ books, journal }: EndParts, claim: Claim, batch: Batch, reason: string) {
  claim.settle(batch.items, 'rejected', batch.shares)
  books.rejected.of('malformed').value += batch.items
  journal.note(books.name, 'rejected', batch, 'malformed', reason)
  batch.reject(reason)
}

/** The destination refuses it for good, and it is kept aside. */
export function endBuried({ books, journal, log }: EndParts, entry: Entry, error: DeliveryError, reason: string) {
  const { batch } = entry
  entry.claim.settle(batch.items, 'dead_lettered', batch.shares)
  books.deadLettered.of(reason).value += batch.items
  journal.note(books.name, 'dead_lettered', batch, reason, error.message)
  const fields = { items: batch.items, reason, code: error.code, error: error.message }
  log.error(fields, 'destination does not take this data: put aside as dead letters, see `kymo replay`')
  // The grave has it: nobody needs to read it again.
  batch.release(done)
}

/** It will not be sent, and its senders think that it was taken. */
export function endLost({ books, journal, log }: EndParts, entry: Entry, error: DeliveryError, reason: string) {
  const { batch } = entry
  entry.claim.settle(batch.items, 'lost', batch.shares)
  books.lost.of(reason).value += batch.items
  journal.note(books.name, 'lost', batch, reason, error.message)
  log.error({ items: batch.items, reason, error: error.message }, 'data lost: not delivered and given up')
  // What only the end of the process kept from being sent, a source sends again.
  batch.release(reason === 'shutdown' ? { kind: 'again', error } : { kind: 'lost', reason })
}

/** It will not be sent from here; its senders hear so and have it still. */
export function endReturned({ books, journal }: EndParts, entry: Entry, error: DeliveryError) {
  const { batch } = entry
  entry.claim.settle(batch.items, 'returned', batch.shares)
  books.returned.of(error.code).value += batch.items
  journal.note(books.name, 'returned', batch, error.code, error.message)
  batch.refuse(error)
}

/** It stays on disk, for whoever opens the queue next; its record does not end. */
export function endLeft({ books }: EndParts, { batch }: Entry) {
  books.out += batch.items
  batch.refuse(stopping())
}

/** The sender gave up waiting. */
export function withdrawn(): DeliveryError {
  return new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting')
}

/** It waited as long as it may: in what limit, and what the destination answered last. */
export function tooOld(limit: string, last: DeliveryError | undefined): DeliveryError {
  const answer = last === undefined ? '' : `; the last answer was: ${last.message}`
  return new DeliveryError('DELIVERY_EXPIRED', 'retry', `${limit}${answer}`)
}

/** What a destination said, and how long it asked to be left alone: that is waited out, whatever it is. */
export function withDelay({ message, retryAfter }: DeliveryError): string {
  if (retryAfter === undefined || retryAfter < 1000) return message
  return `${message}; it asked not to be tried again for ${Math.ceil(retryAfter / 1000)} s`
}

/** What somebody has to look at when the destination denies what it is sent, whatever is in it. */
export function demandOf({ credentials = [] }: { readonly credentials?: readonly string[] }): string {
  const who =
    credentials.length === 0 ? 'no credentials are configured' : credentials.map(key => `\`${key}\``).join(', ')
  return `the destination denies it: look at its endpoint, and who it says it is: ${who}`
}

/** What is told of a circuit, and to whom. */
export interface CircuitParts extends Pick<EndParts, 'books' | 'log'> {
  readonly chronicle?: Chronicle | undefined
}

/** The destination takes nothing, as its last `answer` says. */
export function tellOpened({ books: { name }, log, chronicle }: CircuitParts, answer: string): void {
  log.warn({ error: answer }, 'destination takes nothing: probing, the queue stands')
  chronicle?.note({
    kind: 'circuit',
    component: name.id,
    text: `destination of ${name.signal} takes nothing: probing, the queue stands`,
    detail: answer,
  })
}

/** The destination takes data again. */
export function tellClosed({ books: { name }, log, chronicle }: CircuitParts): void {
  log.info({}, 'destination takes data again')
  chronicle?.note({ kind: 'circuit', component: name.id, text: `destination of ${name.signal} takes data again` })
}

/** At stop: says what is waited for, and why it takes long if it does. */
export function tellWait({ log }: EndParts, items: number, last: DeliveryError | undefined): void {
  const why = last === undefined ? {} : { error: last.message }
  log.info({ items, ...why }, 'stopping: what is held in memory waits for its destination')
}

/** There was no time left. */
export function stopping(): DeliveryError {
  return new DeliveryError('DELIVERY_STOPPING', 'retry', 'stopped before the destination had it')
}

/** It failed so many times, and what else was sent did not. */
export function suspected(failures: number): DeliveryError {
  const text = `failed ${failures} times while the destination took other data`
  return new DeliveryError('DELIVERY_SUSPECT', 'retry', text)
}
