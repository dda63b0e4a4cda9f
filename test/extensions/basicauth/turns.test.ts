import { expect, test, vi } from 'vitest'
import { type Turn, HashTurns } from '../../../extensions/basicauth/turns.ts'

interface Noted extends Turn {
  readonly id: string
}

const turn = (id: string, since = 0): Noted => {
  const [peer, name] = id.split(' ')
  return { id, peer, name, since, givenUp: vi.fn() }
}
const add = (turns: HashTurns<Noted>, ...ids: string[]) => ids.map(id => turns.add(turn(id)))
function order(turns: HashTurns<Noted>, now = 1): string[] {
  const ids: string[] = []
  for (let one = turns.next(now); one !== undefined; one = turns.next(now)) ids.push(one.id)
  return ids
}

test('peers take turns, then the names of a peer, then what came first', () => {
  const turns = new HashTurns<Noted>()
  add(turns, 'a shop 1', 'a shop 2', 'a shop 3', 'a bank 1', 'b shop 1', 'b shop 2', 'c shop 1')
  expect(order(turns)).toEqual(['a shop 1', 'b shop 1', 'c shop 1', 'a bank 1', 'b shop 2', 'a shop 2', 'a shop 3'])
  expect(turns.waiting).toBe(0)
})

test.each<[string, string[], boolean]>([
  ['a fifth for one name of one peer', ['a shop 1', 'a shop 2', 'a shop 3', 'a shop 4', 'a shop 5'], false],
  ['one for another name of that peer', ['a shop 1', 'a shop 2', 'a shop 3', 'a shop 4', 'a bank 1'], true],
  ['one for that name from another peer', ['a shop 1', 'a shop 2', 'a shop 3', 'a shop 4', 'b shop 1'], true],
  ['a ninth of one peer', Array.from({ length: 9 }, (_, i) => `a name${i} 1`), false],
])('%s: whether it may wait', (_what, ids, last) => {
  const taken = add(new HashTurns<Noted>(), ...ids)
  expect(taken.pop()).toBe(last)
  expect(taken).not.toContain(false)
})

test('where there is no room, a peer that has little makes one that has much give up its latest', () => {
  const turns = new HashTurns<Noted>()
  const many = ['a', 'b', 'c', 'd'].flatMap(peer =>
    Array.from({ length: 8 }, (_, i) => turn(`${peer} name${i % 4} ${i}`)),
  )
  expect(many.map(one => turns.add(one))).not.toContain(false)
  expect(turns.add(turn('new shop 1'))).toBe(true)
  expect(many.filter(one => vi.mocked(one.givenUp).mock.calls.length > 0).map(({ id }) => id)).toEqual(['a name0 4'])
  expect(turns.waiting).toBe(32)
  // As many peers as there are places: nobody has more than another.
  const full = new HashTurns<Noted>()
  add(full, ...Array.from({ length: 32 }, (_, i) => `peer${i} shop 1`))
  expect(full.add(turn('new shop 1'))).toBe(false)
})

test('what waited too long is given up when its turn comes', () => {
  const turns = new HashTurns<Noted>()
  const old = turn('a shop 1', 0)
  const young = turn('a shop 2', 7000)
  turns.add(old)
  turns.add(young)
  expect(turns.next(9000)).toBe(young)
  expect(old.givenUp).toHaveBeenCalledOnce()
  expect(turns.waiting).toBe(0)
})

test('wrong passwords use up the credit of a name at a peer, then that of the peer; both come back with time', () => {
  const turns = new HashTurns<Noted>()
  const may = (peer: string, name: string, since: number) => {
    const one = turn(`${peer} ${name}`, since)
    const added = turns.add(one)
    turns.remove(one)
    return added
  }
  for (let i = 0; i < 3; i++) turns.charge({ peer: 'a', name: 'shop' }, 400, 0)
  expect([may('a', 'shop', 0), may('a', 'bank', 0), may('b', 'shop', 0)]).toEqual([false, true, true])
  expect([may('a', 'shop', 1999), may('a', 'shop', 2001)]).toEqual([false, true])
  for (let i = 0; i < 9; i++) turns.charge({ peer: 'a', name: `name${i}` }, 400, 0)
  expect([may('a', 'other', 0), may('b', 'other', 0)]).toEqual([false, true])
  expect(may('a', 'other', 2001)).toBe(true)
})

test('names and peers without number leave a bounded memory behind', () => {
  const turns = new HashTurns<Noted>()
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 100_000; i++) turns.charge({ peer: `2001:db8:${i}:0`, name: 'x'.repeat(44) }, 1, i)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20)
})
