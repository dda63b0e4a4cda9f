/** Metrics of the doors of receivers: what was turned away there, and how much senders take up. */
import type { Books, Usage } from '../core/books.ts'
import { counter, gauge, type OwnFamily } from './family.ts'

const doorLabels = ['receiver', 'transport', 'resource']

function usages({ doors }: Books, value: (usage: Usage) => number | undefined) {
  return doors.flatMap(({ receiver, transport, usage = {} }) =>
    Object.entries(usage).flatMap(([resource, one]) => {
      const n = value(one)
      return n === undefined ? [] : [{ labels: { receiver, transport, resource }, value: n }]
    }),
  )
}

/** See above. */
export const doorFamilies: readonly OwnFamily[] = [
  counter(
    'kymo_receiver_refused_requests_total',
    'Requests turned away, by the status of the answer (`none` where there could be no answer) and the reason. Before anybody knew what is in them: too_large, memory, slow, malformed, cancelled, denied, unready, unserved (another path, method, type or encoding); failed TLS handshakes: handshake; by a limit: requests, peer; connections that one closed: connections, unread, flood. After that: rejected (for good), queue_full, storage, stopping, undelivered (the destination is waited for, and did not take it).',
    ['receiver', 'transport', 'status', 'reason'],
    ({ books }) =>
      books.doors.flatMap(({ receiver, transport, tallies }) =>
        tallies.map(({ status, reason, requests }) => ({
          labels: { receiver, transport, status, reason },
          value: requests,
        })),
      ),
  ),
  gauge(
    'kymo_receiver_usage',
    'What senders take up at a receiver, of all and of the one peer that has most.',
    'each',
    doorLabels,
    s => usages(s.books, ({ used }) => used),
  ),
  gauge('kymo_receiver_usage_limit', 'What they may take up, where that is limited.', 'each', doorLabels, s =>
    usages(s.books, ({ limit }) => limit),
  ),
]
