import { open } from 'node:fs/promises'
import { defineScraper } from '../scraper.ts'
import { fieldsOf, type HostFiles } from '../host-files.ts'
import { chooser, nameList } from '../name-filter.ts'

const packets = (description: string, unit = '{packets}') => ({ description, unit, kind: 'counter' }) as const
const entries = (description: string) => ({ description, unit: '{entries}', kind: 'sum', optional: true }) as const

/** States of TCP connections by the kernel's number (include/net/tcp_states.h), in the Collector's words. */
const states = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT_1',
  'FIN_WAIT_2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'SYN_RECV',
]

export const network = defineScraper({
  name: 'network',
  summary: 'Network interfaces and TCP connections, of the network of the host’s first process with `root_path`.',
  metrics: {
    'system.network.io': packets('Bytes received and sent.', 'By'),
    'system.network.packets': packets('Packets received and sent.'),
    'system.network.errors': packets('Errors of receiving and sending.', '{errors}'),
    'system.network.dropped': packets('Packets that were dropped.'),
    'system.network.connections': { description: 'TCP connections by state.', unit: '{connections}', kind: 'sum' },
    'system.network.conntrack.count': entries('Connections that are tracked.'),
    'system.network.conntrack.max': entries('Most connections that can be tracked.'),
  },
  keys: {
    include: nameList('interfaces', 'interfaces').optional().describe('Only these interfaces.'),
    exclude: nameList('interfaces', 'interfaces').optional().describe('Not these interfaces.'),
  },
  create({ include, exclude }) {
    const isChosen = chooser('interfaces', include, exclude)
    return async ({ files, readings, failed }) => {
      for (const line of (await files.names(await files.ofHost('net/dev'))).split('\n').slice(2)) {
        const colon = line.lastIndexOf(':')
        const device = line.slice(0, colon).trim()
        if (colon === -1 || !isChosen(device)) continue
        const columns = fieldsOf(line.slice(colon + 1)).map(Number)
        for (const [direction, at] of [['receive', 0] as const, ['transmit', 8] as const]) {
          readings.record('system.network.io', columns[at], { device, direction })
          readings.record('system.network.packets', columns[at + 1], { device, direction })
          readings.record('system.network.errors', columns[at + 2], { device, direction })
          readings.record('system.network.dropped', columns[at + 3], { device, direction })
        }
      }
      if (readings.wants('system.network.connections')) {
        for (const [state, count] of await connections(files)) {
          readings.record('system.network.connections', count, { protocol: 'tcp', state })
        }
      }
      for (const name of ['count', 'max'] as const) {
        const metric = `system.network.conntrack.${name}` as const
        if (!readings.wants(metric)) continue
        await files.text(`/proc/sys/net/netfilter/nf_conntrack_${name}`).then(
          text => readings.record(metric, Number(text)),
          (error: unknown) => failed('tracked connections (is nf_conntrack loaded?)', error),
        )
      }
    }
  },
})

/** How many are in which state; of both versions of IP, where there are both. */
async function connections(files: HostFiles): Promise<Map<string, number>> {
  const counts = new Map(['DELETE', ...states].map(state => [state, 0]))
  const tables = ['net/tcp', 'net/tcp6']
  for (const table of tables) {
    const path = files.at(await files.ofHost(table))
    try {
      await countStates(path, counts)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || table === tables[0]) throw error
    }
  }
  return counts
}

/** Counts the states of a table piece by piece: there may be hundreds of thousands of lines. */
async function countStates(path: string, counts: Map<string, number>): Promise<void> {
  const file = await open(path)
  try {
    let rest = ''
    for await (const chunk of file.createReadStream({ encoding: 'latin1', autoClose: false })) {
      const lines = `${rest}${String(chunk)}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        // `  sl  local_address rem_address   st`; the first line has names.
        const code = /^\s*\d+: \S+ \S+ ([0-9A-F]{2}) /.exec(line)?.[1]
        const state = code === undefined ? undefined : states[Number.parseInt(code, 16) - 1]
        if (state !== undefined) counts.set(state, (counts.get(state) ?? 0) + 1)
      }
    }
  } finally {
    await file.close()
  }
}
