/** The faults of destinations that are tried, with the books that are expected of each. */
import { expect } from 'vitest'
import type { Arrival, Reply } from './destination.ts'
import { type Ending, type Hostile, items, shape, usual } from './hostile.ts'

const busy = (what: { grpc: number; http: number; retryAfter?: number }): Reply => ({ does: 'fail', ...what })

/** All arrived, and the destination was found well in the end. */
function allDelivered({ books, account }: Ending): void {
  expect(books).toMatchObject({ delivered: items, rejected: {}, dead_lettered: {} })
  expect(account.arrived).toBe(items)
}

/** All arrived in the end, after attempts that failed. */
function recovered(ending: Ending): void {
  allDelivered(ending)
  expect(ending.books.failed_attempts).toBeGreaterThan(0)
  expect(ending.during.state).toBe('RecoverableError')
  expect(ending.during.error).not.toBe('')
}

/** What was never answered nor taken arrives once, however often it was sent. */
function once(ending: Ending): void {
  recovered(ending)
  expect(ending.account.doubled).toBe(0)
}

/** What was taken without an answer arrives again, and the books say that this may be. */
function maybeTwice(ending: Ending): void {
  recovered(ending)
  expect(ending.account.doubled).toBeGreaterThan(0)
  expect(ending.books.maybe_twice).toBeGreaterThanOrEqual(ending.account.doubled)
}

/** Nothing was sent again before the time the destination asked for. */
function patient(ending: Ending): void {
  once(ending)
  expect(ending.books.maybe_twice).toBe(0)
  for (const times of ending.destination.times.values()) {
    // The clock of the wait started at the other end.
    if (times.length > 1) expect(times[1] - times[0]).toBeGreaterThan(950)
  }
  // A few at once before the first answer, then one probe a second.
  expect(ending.books.failed_attempts).toBeLessThan(15)
}

const poison = 333
const poisonous = (arrival: Arrival): boolean => arrival.counters.includes(poison)
const rejected: Reply = { does: 'fail', grpc: 3, http: 400, message: 'poison' }
/** Each item of the poison's request, and only those. */
const besidePoison = (counter: number): boolean =>
  Math.floor(counter / shape.items) === Math.floor(poison / shape.items)
const merged = { batch: { flush_timeout: '30ms', min_size: 400, max_size: 500 } }

/** Most bytes of a request that the picky destination takes: four items. */
const small = 800

export const faults: readonly Hostile[] = [
  { name: 'takes everything', check: allDelivered },
  {
    name: 'answers after 100 ms',
    reply: () => ({ does: 'take', after: 100 }),
    check(ending) {
      allDelivered(ending)
      expect(ending.books).toMatchObject({ failed_attempts: 0, maybe_twice: 0 })
    },
  },
  { name: 'accepts and never answers', reply: () => ({ does: 'hang' }), lasts: 1500, check: once },
  {
    name: 'takes the data and never answers',
    reply: () => ({ does: 'hang', taken: true }),
    lasts: 1500,
    check: maybeTwice,
  },
  { name: 'resets connections', reply: () => ({ does: 'reset' }), lasts: 800, check: once },
  { name: 'takes the data, then resets', reply: () => ({ does: 'reset', taken: true }), lasts: 800, check: maybeTwice },
  { name: 'accepts connections and reads nothing', line: 'silent', lasts: 1500, check: once },
  { name: 'answers with bytes that are no protocol', line: 'noise', lasts: 1000, check: once },
  { name: 'is down', line: 'down', lasts: 1000, check: once },
  {
    name: 'says success in an answer that cannot be read',
    reply: () => ({ does: 'babble' }),
    check(ending) {
      allDelivered(ending)
      // Sending it again would only double it.
      expect(ending.books).toMatchObject({ failed_attempts: 0, maybe_twice: 0 })
      expect(ending.account.doubled).toBe(0)
    },
  },
  {
    name: 'takes nine of ten items (partial success)',
    reply: () => ({ does: 'partial', rejects: (_, counter) => counter % 10 === 0 }),
    gone: counter => counter % 10 === 0,
    check({ books, account }) {
      // Which ones they were is not said, so that they cannot be kept.
      expect(books).toMatchObject({ delivered: (items * 9) / 10, rejected: { partial_success: items / 10 } })
      expect(account.arrived).toBe((items * 9) / 10)
    },
  },
  {
    name: 'takes no more than four items at once (413)',
    reply: ({ bytes }) => (bytes > small ? busy({ grpc: 8, http: 413 }) : { does: 'take' }),
    check(ending) {
      allDelivered(ending)
      expect(ending.account.doubled).toBe(0)
    },
  },
  {
    name: 'finds one item too large, whatever is with it (413)',
    reply: arrival => (poisonous(arrival) ? busy({ grpc: 8, http: 413 }) : { does: 'take' }),
    gone: counter => counter === poison,
    check({ books, account, refusedForGood }) {
      expect(refusedForGood).toEqual({ too_large: 1 })
      expect(books.delivered).toBe(items - 1)
      expect(account).toMatchObject({ arrived: items - 1, doubled: 0 })
    },
  },
  {
    name: 'asks to come again after a second (429)',
    reply: () => busy({ grpc: 8, http: 429, retryAfter: 1000 }),
    lasts: 2500,
    check: patient,
  },
  {
    name: 'asks to come again after a second (503)',
    reply: () => busy({ grpc: 14, http: 503, retryAfter: 1000 }),
    lasts: 2500,
    check: patient,
  },
  {
    name: 'is unavailable and does not say for how long',
    reply: () => busy({ grpc: 14, http: 503 }),
    lasts: 800,
    check: once,
  },
  {
    name: 'rejects the requests with one poisonous item',
    reply: arrival => (poisonous(arrival) ? rejected : { does: 'take' }),
    gone: counter => counter === poison,
    check({ books, account, refusedForGood }) {
      expect(refusedForGood).toEqual({ rejected: 1 })
      expect(books.delivered).toBe(items - 1)
      expect(account).toMatchObject({ arrived: items - 1, doubled: 0 })
    },
  },
  {
    name: 'rejects merged batches with one poisonous item',
    queue: merged,
    reply: arrival => (poisonous(arrival) ? rejected : { does: 'take' }),
    gone: besidePoison,
    check({ books, account, refusedForGood }) {
      const gone = refusedForGood['rejected']
      expect(Object.keys(refusedForGood)).toEqual(['rejected'])
      expect(gone).toBeGreaterThan(0)
      expect(gone).toBeLessThanOrEqual(shape.items)
      expect(account).toMatchObject({ arrived: items - gone, doubled: 0 })
      // Halving, not trying each of the rest.
      expect(books.attempts).toBeLessThan(usual + 64)
    },
  },
  {
    name: 'is unavailable for the requests with one poisonous item only',
    reply: arrival => (poisonous(arrival) ? busy({ grpc: 14, http: 503 }) : { does: 'take' }),
    lasts: 1500,
    check(ending) {
      allDelivered(ending)
      expect(ending.account.doubled).toBe(0)
    },
  },
  {
    name: 'never has time for one poisonous item',
    reply: arrival => (poisonous(arrival) ? busy({ grpc: 14, http: 503 }) : { does: 'take' }),
    // As long as other data is taken, it is not the destination that is out of order.
    requests: 720,
    rate: 60,
    gone: counter => counter === poison,
    lost: { suspect: 1 },
    check({ mode, books, account, sent }) {
      if (mode === 'durable') expect(books.dead_lettered).toEqual({ suspect: 1 })
      expect(books.delivered).toBe(sent - 1)
      expect(account).toMatchObject({ arrived: sent - 1, doubled: 0 })
    },
  },
  {
    name: 'refuses everything (401) until the key is mended',
    reply: () => busy({ grpc: 16, http: 401 }),
    lasts: 800,
    check: once,
  },
]
