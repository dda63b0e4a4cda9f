import { expect, test } from 'vitest'
import { Account } from '../../core/account.ts'
import { beginningOf, Dismissals, type Dismissed, linesPerMinute, mostDismissals } from '../../core/dismissal.ts'
import { type Line, keepingLogger } from '../support/kymo.ts'

const base: Dismissed = {
  receiver: 'otlp',
  transport: 'http',
  peer: '10.0.0.1',
  network: '10.0.0.1',
  agent: 'sdk/1',
  status: '400',
  reason: 'malformed',
  message: 'it is none',
}

function made() {
  const lines: Line[] = []
  return { lines, dismissals: new Dismissals(new Account(undefined, 'service', 'senders'), keepingLogger(lines)) }
}

test('the same from the same is one row, which says how often, and what it was a moment ago', () => {
  const { dismissals } = made()
  for (let i = 0; i < 1000; i++) dismissals.add({ ...base, message: `fault ${i}` }, 10_000 + i * 3)
  const [row, ...more] = dismissals.list()
  expect(more).toEqual([])
  expect(row).toMatchObject({ times: 1000, first: 10_000, last: 12_997 })
  // It was looked at after one second and after two.
  expect(row.what.message).toBe('fault 668')
})

test.each<[string, Partial<Dismissed>]>([
  ['another receiver', { receiver: 'otlp/2' }],
  ['another transport', { transport: 'grpc' }],
  ['another peer', { peer: '10.0.0.2', network: '10.0.0.2' }],
  ['another program', { agent: 'sdk/2' }],
  ['another status', { status: '415' }],
  ['another reason', { reason: 'unserved' }],
])('%s is another row', (_, other) => {
  const { dismissals } = made()
  dismissals.add(base)
  dismissals.add({ ...base, ...other })
  expect(dismissals.size).toBe(2)
})

test('a network of IPv6 is one peer, of which the latest address is told', () => {
  const { dismissals } = made()
  for (let i = 1; i <= 3; i++)
    dismissals.add({ ...base, peer: `2001:db8::${i}`, network: '2001:db8:0:0::/64' }, i * 1000)
  expect(dismissals.list()).toMatchObject([{ times: 3, what: { peer: '2001:db8::3' } }])
})

test('what is frequent does not push out what is rare, nor is there more than can be read', () => {
  const { dismissals, lines } = made()
  const rare = { ...base, status: '415', reason: 'unserved', peer: 'rare', network: 'rare' }
  dismissals.add(rare, 0)
  const peers = 10_000
  const seconds = 5
  for (let i = 0; i < peers; i++) {
    const peer = String(i)
    dismissals.add({ ...base, peer, network: peer }, Math.floor((i * seconds * 1000) / peers))
  }
  const rows = dismissals.list()
  expect(rows).toHaveLength(mostDismissals)
  expect(rows.at(-1)?.what.peer).toBe('rare')
  // What is new goes on to be seen.
  expect(Math.max(...rows.map(({ what }) => Number(what.peer) || 0))).toBeGreaterThan((peers * 4) / seconds)
  const replaced = 20 * seconds
  expect(dismissals.unlisted).toBeGreaterThanOrEqual(peers - mostDismissals - replaced)
  expect(lines).toHaveLength(linesPerMinute)
})

test('the log has the first of each, four lines a minute at most, and the same again after ten minutes', () => {
  const { dismissals, lines } = made()
  const add = (peer: string, now: number) => dismissals.add({ ...base, peer, network: peer }, now)
  for (let i = 0; i < 10; i++) for (let again = 0; again < 3; again++) add(String(i), 5000 * again)
  expect(lines.map(({ fields }) => fields['peer'])).toEqual(['0', '1', '2', '3'])
  expect(lines[0].fields).toMatchObject({ fault: 'it is none', status: '400', user_agent: 'sdk/1' })
  add('0', 70_000)
  expect(lines).toHaveLength(linesPerMinute)
  add('0', 700_000)
  expect(lines.at(-1)?.fields).toMatchObject({ peer: '0', times: 5, untold: expect.any(Number) })
})

test('what others tell of is not told twice', () => {
  const { dismissals, lines } = made()
  for (const reason of ['denied', 'peer', 'queue_full', 'cancelled']) dismissals.add({ ...base, reason })
  expect([lines, dismissals.size]).toEqual([[], 4])
})

test.each<[string, Buffer, object | undefined]>([
  ['text', Buffer.from('{"a":\n1}'), { is: 'text', shown: '{"a":\\n1}' }],
  [
    'text that is cut inside a letter',
    beginningOf(Buffer.from(`${'x'.repeat(63)}ä`)),
    { is: 'text', shown: 'x'.repeat(63) },
  ],
  ['bytes', Buffer.from([0, 255, 16]), { is: 'binary', shown: '00 ff 10' }],
  ['what a terminal would obey', Buffer.from('\u001b[31m'), { is: 'binary', shown: '1b 5b 33 31 6d' }],
  ['nothing', Buffer.alloc(0), undefined],
])('%s is shown as what it is', (_, firstBytes, shown) => {
  const { dismissals } = made()
  dismissals.add({ ...base, firstBytes })
  expect(dismissals.bytesOf(dismissals.list()[0])).toEqual(shown)
})

test('bodies are not shown where the configuration redacts, nor later those of that time', () => {
  const { dismissals } = made()
  const add = (peer: string) => dismissals.add({ ...base, peer, network: peer, firstBytes: Buffer.from(peer) })
  const shown = () => dismissals.list().map(row => [row.what.peer, dismissals.bytesOf(row)?.shown])
  add('before')
  dismissals.showsBytes = false
  add('during')
  expect(shown().every(([, bytes]) => bytes === undefined)).toBe(true)
  dismissals.showsBytes = true
  expect(Object.fromEntries(shown())).toEqual({ before: 'before', during: undefined })
})

test('a copy of how a body begins is 64 bytes at most, and of its own', () => {
  const body = Buffer.alloc(1000, 1)
  const beginning = beginningOf(body)
  body.fill(2)
  expect([beginning.length, beginning[0]]).toEqual([64, 1])
})
