import { describe, expect, test } from 'vitest'
import { Books, type NodeBooks, Reasons } from '../../core/books.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Outcome } from '../../core/delivery.ts'

const named = (kind: NodeBooks['name']['kind'], id: string, pipeline = '') =>
  ({ kind, id, pipeline, signal: 'traces' }) as const

test.each<[string, (node: NodeBooks) => void, number]>([
  ['nothing came, nothing went', () => {}, 0],
  ['what came went out', node => ((node.in = 5), (node.out = 5)), 0],
  ['what was dropped is accounted for', node => ((node.in = 5), (node.dropped.of('x').value = 5)), 0],
  ['what is held is accounted for', node => ((node.in = 5), node.holds(() => 5)), 0],
  [
    'every way to end counts once',
    node => {
      node.in = 28
      node.out = 1
      node.delivered = 2
      node.dropped.of('a').value = 3
      node.rejected.of('b').value = 4
      node.lost.of('c').value = 5
      node.deadLettered.of('d').value = 6
      node.returned.of('e').value = 7
    },
    0,
  ],
  ['what was made or found here counts as come', node => ((node.created = 2), (node.recovered = 3), (node.out = 5)), 0],
  ['refused at the door was never in', node => (node.refused.of('memory').value = 9), 0],
  ['attempts and duplicates are counted apart', node => ((node.attempts = 4), (node.maybeTwice = 2)), 0],
  ['an item that vanished is missed', node => ((node.in = 5), (node.out = 4)), 1],
  ['an item out of nowhere shows', node => ((node.in = 4), (node.out = 5)), -1],
])('%s', (_, move, balance) => {
  const books = new Books()
  const node = books.node(named('processor', 'batch', 'traces/in'))
  move(node)
  expect(node.balance()).toBe(balance)
  expect(books.faults()).toEqual(balance === 0 ? [] : [`processor batch (traces/in): ${balance} items unaccounted for`])
})

/** Ten items from a receiver over one edge to an exporter that has them. */
function moved() {
  const books = new Books()
  const receiver = books.node(named('receiver', 'otlp'))
  const exporter = books.node(named('exporter', 'otlp/out'))
  const edge = books.edge(receiver, exporter)
  receiver.in = receiver.out = edge.carried = exporter.in = exporter.delivered = 10
  return { books, receiver, exporter, edge }
}

/** The same, to a second exporter besides. */
function doubled() {
  const parts = moved()
  const { books, receiver } = parts
  const other = books.node(named('exporter', 'debug'))
  const second = books.edge(receiver, other)
  receiver.doubled = second.carried = other.in = other.delivered = 10
  return { ...parts, other, second }
}

const outOf = (items: number) => `edges out of receiver otlp (traces): ${items} items unaccounted for`

test.each<[string, (parts: ReturnType<typeof moved>) => void, string[]]>([
  ['an edge carries what went out', () => {}, []],
  [
    'what waits on the way is neither here nor there',
    ({ books, receiver }) => ((receiver.in = receiver.out = 13), books.waits(from => (from === receiver ? 3 : 0))),
    [],
  ],
  [
    'what was handed on and neither waits nor arrives is missed',
    ({ books, receiver }) => ((receiver.in = receiver.out = 13), books.waits(from => (from === receiver ? 2 : 0))),
    [outOf(1)],
  ],
  [
    'what waits no more and arrives nowhere is missed',
    ({ books, receiver }) => ((receiver.in = receiver.out = 13), books.waits(() => 3)()),
    [outOf(3)],
  ],
  [
    'what was refused at the door came over the edge',
    ({ receiver, exporter, edge }) => (
      (receiver.in = receiver.out = edge.carried = 12),
      (exporter.refused.of('queue_full').value = 2)
    ),
    [],
  ],
  [
    'what came over an edge and did not come in is missed',
    ({ receiver, edge }) => (receiver.in = receiver.out = edge.carried = 11),
    ['edges into exporter otlp/out (traces): 1 items unaccounted for'],
  ],
  [
    'what came in over no edge shows',
    ({ exporter }) => (exporter.in = exporter.delivered = 11),
    ['edges into exporter otlp/out (traces): -1 items unaccounted for'],
  ],
])('%s', (_, change, faults) => {
  const parts = moved()
  change(parts)
  expect(parts.books.faults()).toEqual(faults)
})

test.each<[string, (parts: ReturnType<typeof doubled>) => void, string[]]>([
  ['all branches of a fan-out carry what went out', () => {}, []],
  [
    'a branch that got nothing is missed',
    ({ other, second }) => (second.carried = other.in = other.delivered = 0),
    [outOf(10)],
  ],
  [
    'a branch that got it twice shows',
    ({ other, second }) => (second.carried = other.in = other.delivered = 20),
    [outOf(-10)],
  ],
  [
    'a branch that was told of it and got nothing is missed',
    ({ other }) => (other.in = other.delivered = 0),
    ['edges into exporter debug (traces): 10 items unaccounted for'],
  ],
])('%s', (_, change, faults) => {
  const parts = doubled()
  change(parts)
  expect(parts.books.faults()).toEqual(faults)
})

test.each<[Outcome, object, number]>([
  [{ kind: 'success', warning: undefined }, { accepted: 10, rejected: 0, refused: 0 }, 0],
  [{ kind: 'partial', rejected: 3, reason: 'bad' }, { accepted: 7, rejected: 3, refused: 0 }, 0],
  [{ kind: 'rejected', reason: 'bad' }, { accepted: 0, rejected: 10, refused: 0 }, 0],
  [
    {
      kind: 'refused',
      error: new DeliveryError('DELIVERY_BUSY', 'retry', 'later'),
      retryAfter: 0,
      mayBeSentTwice: 4,
    },
    { accepted: 0, rejected: 0, refused: 10 },
    4,
  ],
])('a receiver counts what its sender heard: $kind', (outcome, answered, maybeTwice) => {
  const node = new Books().node(named('receiver', 'otlp'))
  node.answersTo('grpc').tally(10, outcome)
  expect(node).toMatchObject({ answered, maybeTwice })
})

test('a receiver counts answers by transport, and all of them together', () => {
  const node = new Books().node(named('receiver', 'otlp'))
  const accepted = { kind: 'success', warning: undefined } as const
  node.answersTo('grpc').tally(3, accepted)
  node.answersTo('http').tally(4, { kind: 'rejected', reason: 'bad' })
  node.answersTo('grpc').tally(5, accepted)
  expect(node.answers).toMatchObject([
    { transport: 'grpc', accepted: 8, rejected: 0 },
    { transport: 'http', accepted: 0, rejected: 4 },
  ])
  expect(node.answered).toEqual({ accepted: 8, rejected: 4, refused: 0 })
})

test('a reason is one counter however often it is asked for', () => {
  const reasons = new Reasons()
  reasons.of('full').value += 2
  reasons.of('full').value += 3
  reasons.of('expired')
  expect(reasons.total).toBe(5)
  expect([...reasons.all()]).toEqual([
    { reason: 'full', value: 5 },
    { reason: 'expired', value: 0 },
  ])
})

describe('when a configuration is exchanged', () => {
  test('the same name is the same account, and the same two ends are the same edge', () => {
    const { books, receiver, exporter, edge } = moved()
    expect(books.node(named('receiver', 'otlp'))).toBe(receiver)
    expect(books.edge(receiver, exporter)).toBe(edge)
    expect(books.nodes).toHaveLength(2)
    expect(books.edges).toHaveLength(1)
  })

  test('what went over an edge counts on when nothing goes over it any more', () => {
    const { books, receiver, edge } = moved()
    const other = books.node(named('exporter', 'debug'))
    const later = books.edge(receiver, other)
    receiver.in = receiver.out = 15
    expect(books.faults()).toEqual([outOf(5)])
    later.carried = other.in = other.delivered = 5
    expect(books.faults()).toEqual([])
    expect(edge.carried).toBe(10)
  })

  test('what was turned away at a door counts on when the receiver is replaced', () => {
    const books = new Books()
    const end = books.door('otlp', 'grpc', { too_large: 2, memory: 1 })
    books.door('otlp', 'grpc', { too_large: 3 })
    expect(books.doors.map(({ refusals }) => refusals)).toEqual([{ too_large: 5, memory: 1 }])
    end()
    end()
    expect(books.doors.map(({ refusals }) => refusals)).toEqual([{ too_large: 5, memory: 1 }])
  })

  test('and so does what it was answered with, where that is known', () => {
    const books = new Books()
    const denied = { status: '401', reason: 'denied', requests: 1 }
    const end = books.door('otlp', 'http', {}, { tallies: () => [denied] })
    books.door('otlp', 'http', {}, { tallies: () => [denied, { ...denied, status: '403' }] })
    const both = [
      { ...denied, requests: 2 },
      { ...denied, status: '403' },
    ]
    expect(books.doors[0].tallies).toEqual(both)
    end()
    end()
    expect(books.doors[0].tallies).toEqual(both)
    books.door('files', 'file', { malformed: 3 })
    expect(books.doors[1].tallies).toEqual([{ status: 'none', reason: 'malformed', requests: 3 }])
  })

  test('how near the limits of a door are is told by the latest instance of its receiver', () => {
    const books = new Books()
    const usage = (used: number) => () => ({ connections: { used, limit: 10 } })
    books.door('otlp', 'grpc', {}, { usage: usage(3) })
    const end = books.door('otlp', 'grpc', {}, { usage: usage(4) })
    expect(books.doors[0].usage).toEqual({ connections: { used: 4, limit: 10 } })
    end()
    expect(books.doors[0].usage).toEqual({ connections: { used: 3, limit: 10 } })
  })
})
