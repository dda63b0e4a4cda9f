/** Questions about those who send: `/v1/senders` and `/v1/refused`. Only answers. */
import type { Books } from '../core/books.ts'
import type { Dismissal, Dismissals } from '../core/dismissal.ts'
import { mostDismissals } from '../core/dismissal.ts'
import { mostSenders, type SenderRow, senderSortings } from '../core/sender.ts'
import type { Senders } from '../core/senders.ts'
import type { Route } from './api.ts'
import { Query, type RawQuery } from './query.ts'
import { shortageDocument, time } from './status.ts'

/** The pages. */
export function senderRoutes(senders: Senders, books: Books): readonly Route[] {
  return [
    { path: '/v1/senders', answer: (_, query) => listSenders(senders, books, query) },
    { path: '/v1/refused', answer: (_, query) => listRefused(senders.dismissals, books, query) },
  ]
}

/** Everybody who sends, as `/v1/senders` tells it. */
export type SendersDocument = ReturnType<typeof listSenders>
/** One of them. */
export type SenderDocument = ReturnType<typeof senderDocument>
/** What was turned away, as `/v1/refused` tells it. */
export type RefusedDocument = ReturnType<typeof listRefused>
/** One row of that. */
export type DismissalDocument = ReturnType<typeof dismissalDocument>

const value: Record<(typeof senderSortings)[number], (sender: SenderDocument) => number> = {
  last: ({ last }) => Date.parse(last ?? ''),
  requests: ({ per_second }) => per_second.requests,
  items: ({ per_second }) => per_second.items,
  bytes: ({ per_second }) => per_second.bytes,
  refused: ({ answers: { rejected, refused } }) => rejected + refused,
}

function listSenders({ table, shortages }: Senders, books: Books, raw: RawQuery) {
  const query = new Query(raw, ['receiver', 'transport', 'peer', 'sort', 'limit'])
  const limit = query.count('limit', mostSenders, 100)
  const by = value[query.word('sort', senderSortings, 'thing to sort senders by') ?? 'items']
  const found = [...table.all()].filter(matching(query, ({ place, peer }) => ({ ...place, peer })))
  const now = Date.now()
  const documents = found.map(sender => senderDocument(sender, now)).sort((a, b) => by(b) - by(a))
  const { others, gone } = table
  return {
    senders: documents.slice(0, limit),
    known: table.size,
    ...(documents.length > limit ? { more: documents.length - limit } : {}),
    /** Those that had to go from the table, and what they and others without a row had sent. */
    gone,
    others: countsOf(others),
    shortages: shortages.list().map(shortageDocument),
    turned_away: turnedAway(books),
  }
}

function senderDocument(sender: SenderRow, now: number) {
  const { place, peer, agent, since, last } = sender
  const pace = sender.pace(now)
  return {
    receiver: place.receiver,
    transport: place.transport,
    peer: peer === '' ? null : peer,
    user_agent: agent === '' ? null : agent,
    since: time(since),
    last: time(last),
    ...countsOf(sender),
    per_second: { requests: round(pace.requests), items: round(pace.items), bytes: round(pace.bytes) },
  }
}

const countsOf = ({ requests, items, bytes, accepted, partial, rejected, refused }: SenderRow) => ({
  requests,
  items,
  bytes,
  answers: { accepted, partial, rejected, refused },
})

function listRefused(dismissals: Dismissals, books: Books, raw: RawQuery) {
  const query = new Query(raw, ['receiver', 'transport', 'peer', 'reason', 'limit'])
  const limit = query.count('limit', mostDismissals, mostDismissals)
  const reason = query.text('reason')
  const found = dismissals
    .list()
    .filter(matching(query, ({ what }) => what))
    .filter(({ what }) => reason === undefined || what.reason === reason)
  return {
    refused: found.slice(0, limit).map(one => dismissalDocument(one, dismissals)),
    /** Requests that are counted and stand in no row. */
    unlisted: dismissals.unlisted,
    bytes_shown: dismissals.showsBytes,
    turned_away: turnedAway(books),
  }
}

function dismissalDocument(dismissal: Dismissal, dismissals: Dismissals) {
  const { what, first, last, times } = dismissal
  const { receiver, transport, peer, agent, status, reason, message } = what
  const bytes = dismissals.bytesOf(dismissal)
  return {
    first: time(first),
    last: time(last),
    requests: times,
    receiver,
    transport,
    peer: peer === '' ? null : peer,
    user_agent: agent ?? null,
    status,
    reason,
    message,
    ...(bytes === undefined ? {} : { first_bytes: bytes }),
  }
}

/** Everything that was ever turned away. */
function turnedAway(books: Books) {
  return books.doors.flatMap(({ receiver, transport, tallies }) =>
    tallies.flatMap(({ status, reason, requests }) =>
      requests === 0 ? [] : [{ receiver, transport, status, reason, requests }],
    ),
  )
}

function matching<T>(
  query: Query,
  of: (one: T) => { readonly receiver: string; readonly transport: string; readonly peer: string },
) {
  const [receiver, transport, peer] = [query.text('receiver'), query.text('transport'), query.text('peer')]
  return (one: T): boolean => {
    const place = of(one)
    return (
      (receiver === undefined || place.receiver === receiver) &&
      (transport === undefined || place.transport === transport) &&
      (peer === undefined || place.peer === peer)
    )
  }
}

const round = (n: number): number => Math.round(n * 10) / 10
