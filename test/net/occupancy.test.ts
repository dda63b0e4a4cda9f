import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Gate } from '../../net/gate.ts'
import { connectionCost, Occupancy, type OccupancyLimits, paidConnections, peerName } from '../../net/occupancy.ts'

const counts = () => ({ connections: 0, requests: 0, peer: 0, unread: 0, flood: 0 })
const made = (limits: Partial<OccupancyLimits>, budget?: Budget) => {
  const refusals = counts()
  return { refusals, occupancy: new Occupancy(limits, refusals, budget, undefined) }
}

test.each([
  ['an address', '192.0.2.7', '192.0.2.7'],
  ['an address in the form of IPv6', '::ffff:192.0.2.7', '192.0.2.7'],
  ['one of IPv6, as its network', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['a short one', '2001:db8::1', '2001:db8:0:0::/64'],
  ['loopback', '::1', '0:0:0:0::/64'],
  ['one with a zone', 'fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['a unix socket', undefined, ''],
])('%s is counted as one peer', (_what, address, peer) => {
  expect(peerName(address)).toBe(peer)
})

test('connections beyond the first are charged, take half of the budget at most, and give it back', () => {
  const budget = new Budget(100 * connectionCost)
  const { occupancy, refusals } = made({}, budget)
  const shares = Array.from({ length: 80 }, () => occupancy.enter('192.0.2.1')).filter(share => share !== undefined)
  expect(shares).toHaveLength(50)
  expect(refusals.connections).toBe(30)
  expect(budget.used).toBe((50 - paidConnections) * connectionCost)
  for (const share of shares) {
    occupancy.leave(share)
    occupancy.leave(share)
  }
  expect([budget.used, occupancy.shares.size]).toEqual([0, 0])
})

test('where data has used memory up, the first connections still come in, to hear so; many do not', () => {
  const budget = new Budget(1600 * connectionCost)
  budget.charge(budget.limit)
  const { occupancy } = made({}, budget)
  const shares = Array.from({ length: 400 }, () => occupancy.enter('192.0.2.1')).filter(share => share !== undefined)
  expect(shares).toHaveLength(100)
})

test('limits of one peer do not count for another, nor for unix sockets', () => {
  const { occupancy } = made({ connectionsPerPeer: 2, requestsPerPeer: 4 })
  const enter = (address?: string) => occupancy.enter(address)
  expect([enter('192.0.2.1'), enter('192.0.2.1'), enter('192.0.2.1')].map(Boolean)).toEqual([true, true, false])
  expect([enter('192.0.2.2'), enter(), enter(), enter()].map(Boolean)).toEqual([true, true, true, true])
})

test.each([10, 200, 600])(
  'an established connection still comes in where %i of its peer take all they can',
  attackers => {
    const { occupancy } = made({ requestsPerPeer: 5000, connectionsPerPeer: 1000 })
    const enter = () => occupancy.enter('192.0.2.1') ?? expect.fail('no place')
    const modest = enter()
    for (let i = 0; i < attackers; i++) {
      const share = enter()
      for (let stream = 0; stream < 995; stream++) occupancy.begin(share)
    }
    for (let i = 0; i < 3; i++) {
      // Two under way.
      expect([occupancy.begin(modest), occupancy.begin(modest)]).toEqual([undefined, undefined])
      occupancy.end(modest)
      occupancy.end(modest)
    }
  },
)

test('of the last quarter each connection gets a part', () => {
  const { occupancy } = made({ requests: 40 })
  const [greedy, modest] = [occupancy.enter('192.0.2.1'), occupancy.enter('192.0.2.2')]
  if (greedy === undefined || modest === undefined) throw new Error('no place')
  const begun = (share: typeof greedy, times: number) =>
    Array.from({ length: times }, () => occupancy.begin(share)).filter(refusal => refusal === undefined).length
  expect(begun(greedy, 60)).toBe(30)
  expect(begun(modest, 60)).toBe(5)
  occupancy.end(greedy)
  expect(occupancy.usage['requests']).toEqual({ used: 34, limit: 40 })
})

test('of too many TLS handshakes the oldest is ended, one that went well is not', () => {
  const { occupancy } = made({})
  const gate = new Gate(occupancy, true, 3)
  const sockets = Array.from({ length: 5 }, (_, i) => {
    const socket = Object.assign(new EventEmitter(), {
      remoteAddress: '192.0.2.1',
      remotePort: 1000 + i,
      destroyed: false,
      destroy: () => {
        socket.destroyed = true
        socket.emit('close')
      },
    })
    return socket
  })
  const admit = (i: number) => gate.admit(sockets[i] as unknown as Socket)
  admit(0)
  gate.shaken({ remoteAddress: '192.0.2.1', remotePort: 1000 })
  for (let i = 1; i < 5; i++) expect(admit(i)).toBe(true)
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, false, false])
  expect([gate.handshakes, occupancy.shares.size]).toEqual([3, 4])
  expect(gate.shareOf({ remoteAddress: '192.0.2.1', remotePort: 1000 })).toBe([...occupancy.shares][0])
})
