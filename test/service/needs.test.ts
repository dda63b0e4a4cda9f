/** What a person has to look into: the first thing `kymo status` says. */
import { expect, test } from 'vitest'
import { statusText } from '../../cli/status.ts'
import { Books } from '../../core/books.ts'
import { Dismissal } from '../../core/dismissal.ts'
import { Status, type State } from '../../core/status.ts'
import { StorageError } from '../../core/storage.ts'
import { budgetUsedUp } from '../../net/refusal.ts'
import { needs, type Signs } from '../../service/needs.ts'

function component(kind: 'exporter' | 'receiver', id: string, state: State, error: string) {
  const status = new Status()
  status.set('Starting')
  status.set(state, error)
  return { kind, id, type: id, pipeline: undefined, status }
}

/** What came so often from there, the last time so many milliseconds ago. */
function dismissal(peer: string, reason: string, times: number, ago = 1000): Dismissal {
  const door = { receiver: 'otlp', transport: 'http', status: '400' }
  const made = new Dismissal({ ...door, agent: 'a', message: 'no', peer, network: peer, reason }, Date.now() - ago)
  made.times = times
  return made
}

/** An exporter that is well, and has something that has not ended. */
function holding(id: string, items: number): Partial<Signs> {
  const books = new Books()
  const node = books.node({ kind: 'exporter', id, pipeline: '', signal: 'traces' })
  node.in = items
  node.holds(() => items)
  const status = new Status()
  status.set('Starting')
  status.set('OK')
  return { books, components: [{ kind: 'exporter', id, type: id, pipeline: undefined, status }] }
}

const sound = { trouble: undefined, deadLetters: undefined, list: () => [{ totals: { corrupt: 0 } }] }

const well = (): Signs => ({
  books: new Books(),
  budget: { pressed: false },
  components: [component('receiver', 'otlp', 'OK', '')],
  queues: [],
  storages: [{ id: 'file_storage', storage: { ...sound } }],
  orphans: [],
  lastReload: { result: 'applied', at: 0, trigger: 'SIGHUP' },
  shortages: [],
  dismissals: [],
  faults: 0,
})

test('nothing, when all is well', () => expect(needs(well())).toEqual([]))

const queue = { signal: 'traces', queueSize: 90, queueCapacity: 100, inFlight: 1 } as const
test.each<[what: string, more: () => Partial<Signs>, told: string, command: string]>([
  [
    'a destination that is away',
    () => {
      const books = new Books()
      const node = books.node({ kind: 'exporter', id: 'loki', pipeline: '', signal: 'traces' })
      node.in = 7
      node.holds(() => 7)
      const components = [component('exporter', 'loki', 'RecoverableError', 'no route')]
      return { books, components, queues: [{ id: 'loki', ...queue }] }
    },
    'exporter loki is in trouble, 7 items waiting (90% of its queue): no route',
    'kymo batches --component loki --what attempt_failed',
  ],
  [
    'a component that does not come back',
    () => ({ components: [component('receiver', 'otlp', 'PermanentError', 'port in use')] }),
    'receiver otlp does not work, and will not by itself: port in use',
    'kymo status --filter otlp',
  ],
  [
    'senders that find no room',
    () => ({ shortages: [{ cause: 'the queue of exporter a is full', since: 1, last: 2, requests: 12 }] }),
    'senders are refused, 12 requests so far: the queue of exporter a is full',
    'kymo senders --sort refused',
  ],
  [
    'senders that are turned away, but not those that come again',
    () => ({
      dismissals: [
        dismissal('10.0.0.1', 'malformed', 3),
        dismissal('10.0.0.1', 'unserved', 1),
        dismissal('10.0.0.2', 'malformed', 2),
        dismissal('10.0.0.3', 'queue_full', 9),
        dismissal('10.0.0.4', 'malformed', 9, 601_000),
      ],
    }),
    '2 senders turned away for good lately: 5 malformed, 1 unserved',
    'kymo senders --refused',
  ],
  [
    'a storage without room',
    () => ({ shortages: [{ cause: 'the storage of exporter a is full', since: 1, last: 2, requests: 1 }] }),
    'senders are refused, 1 request so far: the storage of exporter a is full',
    'kymo queue ls',
  ],
  [
    'a budget that is used up, with who has most of it',
    () => ({
      ...holding('loki', 7),
      shortages: [{ cause: budgetUsedUp, since: 1, last: 2, requests: 1 }],
    }),
    'senders are refused, 1 request so far: the memory budget is used up; 7 items wait at exporter loki',
    'kymo senders --sort refused',
  ],
  [
    'a stop that waits',
    () => ({ ...holding('loki', 7), phase: 'stopping' }),
    'stopping: 7 items at exporter loki not delivered yet; what is not on disk is lost at the deadline: it has not answered yet',
    'kymo losses --since 24h',
  ],
  [
    'a reload that failed',
    () => ({
      lastReload: {
        result: 'failed',
        at: 5,
        trigger: 'SIGHUP',
        errors: [{ message: 'unknown key `a`', file: 'kymo.yaml', line: 7 }, { message: 'another' }],
      },
    }),
    'the last reload failed, what ran before goes on: kymo.yaml:7: unknown key `a` (and 1 more)',
    'kymo reload --dry-run',
  ],
  [
    'a full disk',
    () => ({
      storages: [{ id: 'disk', storage: { ...sound, trouble: new StorageError('full', 'no room') } }],
    }),
    'storage disk takes nothing (full): no room',
    'kymo queue ls',
  ],
  [
    'dead letters',
    () => ({
      storages: [{ id: 'disk', storage: { ...sound, deadLetters: { backlog: { records: 1, items: 55 } } } }],
    }),
    '55 items in 1 dead letter of storage disk',
    'kymo queue ls --dead-letters',
  ],
  [
    'an orphan',
    () => ({ orphans: [{ owner: 'otlp_grpc/old traces', items: 1, oldest: null }] }),
    '1 item of otlp_grpc/old traces on disk that no exporter sends any more',
    'kymo queue ls',
  ],
  [
    'memory',
    () => ({ budget: { pressed: true } }),
    'memory is over its limit: senders are asked to come again',
    'kymo status --sort queue',
  ],
  [
    'a fault',
    () => ({ faults: 2 }),
    '2 faults of Kymo since it was started',
    'the log has each as INTERNAL: please report them',
  ],
  [
    'a damaged disk',
    () => ({
      storages: [{ id: 'disk', storage: { ...sound, list: () => [7, 3].map(corrupt => ({ totals: { corrupt } })) } }],
    }),
    '10 items of storage disk could not be read back from its disk',
    'kymo queue ls, and the log: it names the files',
  ],
  [
    'what a destination rejects',
    () => {
      const books = new Books()
      const node = books.node({ kind: 'exporter', id: 'loki', pipeline: '', signal: 'logs' })
      node.in = 3
      node.rejected.of('rejected').value = 3
      return { books, said: how => (how === 'rejected' ? 'HTTP 400: too old' : undefined) }
    },
    '3 items rejected by their destination for good since the start: 3 rejected; such as: HTTP 400: too old',
    'kymo losses --since 24h',
  ],
  [
    'what was lost',
    () => {
      const books = new Books()
      const node = books.node({ kind: 'exporter', id: 'loki', pipeline: '', signal: 'logs' })
      node.in = 3
      node.lost.of('expired').value = 2
      node.lost.of('queue_full').value = 1
      return { books }
    },
    '3 items lost for good since the start: 2 expired, 1 queue_full',
    'kymo losses --since 24h',
  ],
])('%s is told, with the command that goes on', (_, more, told, command) => {
  expect(needs({ ...well(), ...more() })).toMatchObject([{ what: told, command }])
})

test.each([
  [{ expiresIn: undefined, next: 0 }, { queue: undefined }, '90% of its queue): no route'],
  [
    { expiresIn: 300_000, next: 4200 },
    { queue: 40 },
    '90% of its queue, full in about 40 s): no route; the oldest is given up in about 5 min; next attempt in 5 s, or at once: `kymo retry loki`',
  ],
  [
    { expiresIn: 9_000_000, next: 0 },
    { queue: 9000 },
    '90% of its queue, full in about 3 h): no route; the oldest is given up in about 3 h',
  ],
  [{ expiresIn: 172_000_000, next: 0 }, { queue: 90_000 }, '90% of its queue): no route'],
] as const)(
  'of a destination that is away: how long that can go on, as far as a day: %j %j',
  (times, seconds, told) => {
    const { expiresIn, next } = times
    const found = needs({
      ...well(),
      ...holding('loki', 7),
      components: [component('exporter', 'loki', 'RecoverableError', 'no route')],
      queues: [{ id: 'loki', ...queue, expiresIn, nextAttempt: next }],
      outlook: { ofQueue: () => seconds.queue, ofStorage: () => undefined },
    })
    expect(found.map(({ what }) => what)).toEqual([`exporter loki is in trouble, 7 items waiting (${told}`])
  },
)

test.each([
  [3000, ['storage file_storage is full in about 50 min as things go now: from then on senders are refused']],
  [90_000, []],
  [undefined, []],
])('a storage that is full in %s s', (seconds, told) => {
  const outlook = { ofQueue: () => undefined, ofStorage: () => seconds }
  expect(needs({ ...well(), outlook }).map(({ what }) => what)).toEqual(told)
})

test('the text begins with it, and says so when there is nothing', () => {
  const whole = {
    process: { version: '1.2.3', phase: 'running', pid: 7, started: new Date().toISOString() },
    memory: { rss_bytes: 0, limit_bytes: 2 ** 20, pressed: false },
    books_faults: [],
    lost_for_good: 0,
    shortages: [],
    doors: [],
  }
  const since = new Date(Date.now() - 300_000).toISOString()
  const need = { what: 'exporter \u001b[2J is in trouble', since, command: 'kymo batches' }
  const [, , ...lines] = statusText({ ...whole, needs_you: [need] }, [], {}).split('\n')
  expect(lines.slice(0, 3)).toEqual([
    'What needs you:',
    expect.stringMatching(/^ {2}! exporter {2}\[2J is in trouble \(since 5m\)$/),
    '      kymo batches',
  ])
  expect(statusText({ ...whole, needs_you: [] }, [], {}).split('\n')[2]).toBe('All is well.')
})

test.each([
  ['38 of 100, 11 come and 1.7 are taken', 38, { in: 11, delivered: 1.7, ended: 1.7 }, 'OK', 67],
  ['nearly all of what comes is taken', 38, { in: 11, delivered: 10.5, ended: 10.5 }, 'OK', undefined],
  ['what comes is rejected', 38, { in: 11, delivered: 1, ended: 11 }, 'OK', undefined],
  ['little waits', 5, { in: 11, delivered: 1, ended: 1 }, 'OK', undefined],
  ['it is full: those it refuses are told', 100, { in: 11, delivered: 1, ended: 1 }, 'OK', undefined],
  [
    'the destination is in trouble, which is told',
    38,
    { in: 11, delivered: 0, ended: 0 },
    'RecoverableError',
    undefined,
  ],
] as const)(
  'a destination that is slower than what comes is told before its queue is full: %s',
  (_, size, pace, state, seconds) => {
    // Ten items in each request of the queue.
    const more = holding('loki', size * 10)
    if (state !== 'OK') more.components?.[0]?.status.set(state, 'no route')
    const found = needs({
      ...well(),
      ...more,
      queues: [{ id: 'loki', signal: 'traces', queueSize: size, queueCapacity: 100, inFlight: 1 }],
      pace: () => pace,
    }).filter(({ what }) => what.includes('takes less'))
    if (seconds === undefined) return expect(found).toEqual([])
    // 62 requests of ten items at 9.3 items a second.
    expect(found).toEqual([
      {
        what: `exporter loki takes less traces than come: 11 items/s come, 1.7 are taken; 38% of its queue is used, and all in about ${seconds} s`,
        command: 'kymo status --sort queue',
      },
    ])
  },
)
