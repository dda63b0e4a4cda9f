/** Network interfaces and connections of a host whose files are known. */
import { expect, test } from 'vitest'
import { type HostText, onMadeHost, receiving, type Row, write } from '../made-host.ts'

onMadeHost()

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:C002 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
`
const devices = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 10 1 2 3 0 0 0 0 20 4 5 6 0 0 0 0
  eth0:1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
`

const rows: readonly Row[] = [
  ['system.network.io', 'eth0 receive', 1000],
  ['system.network.io', 'eth0 transmit', 2000],
  ['system.network.packets', 'eth0 receive', 10],
  ['system.network.packets', 'eth0 transmit', 20],
  ['system.network.errors', 'eth0 receive', 0],
  ['system.network.errors', 'eth0 transmit', 0],
  ['system.network.dropped', 'eth0 receive', 0],
  ['system.network.dropped', 'eth0 transmit', 0],
  ['system.network.connections', 'tcp DELETE', 0],
  ['system.network.connections', 'tcp ESTABLISHED', 1],
  ['system.network.connections', 'tcp SYN_SENT', 0],
  ['system.network.connections', 'tcp SYN_RECV', 0],
  ['system.network.connections', 'tcp FIN_WAIT_1', 0],
  ['system.network.connections', 'tcp FIN_WAIT_2', 0],
  ['system.network.connections', 'tcp TIME_WAIT', 1],
  ['system.network.connections', 'tcp CLOSE', 0],
  ['system.network.connections', 'tcp CLOSE_WAIT', 0],
  ['system.network.connections', 'tcp LAST_ACK', 0],
  ['system.network.connections', 'tcp LISTEN', 2],
  ['system.network.connections', 'tcp CLOSING', 0],
]

const interfaces = { network: { include: { interfaces: ['eth0'], match_type: 'strict' } } }
const tables = (at: string): HostText => ({
  [`${at}/net/dev`]: devices,
  [`${at}/net/tcp`]: tcp,
  [`${at}/net/tcp6`]: tcp.split('\n').slice(0, 2).join('\n').concat('\n'),
})

test.each([
  ['of the first process where the host is mounted somewhere', { ...tables('/proc/1'), '/proc/self/net/dev': '' }],
  ['of its own where the first process cannot be seen', tables('/proc/self')],
])('%s; states that nobody is in are 0', async (_, files) => {
  write(files)
  const { scrape, stop, lines } = receiving(interfaces)
  const [found] = await scrape()
  await stop()
  expect(found).toMatchObject({ resource: {}, scope: 'network' })
  const byName = (list: readonly Row[] = []) => list.map(row => row.join(' | ')).toSorted()
  expect(byName(found?.rows)).toEqual(byName(rows))
  expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
})
