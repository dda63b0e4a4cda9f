/** Metrics of a host whose files are known, decoded by protobufjs. */
import { expect, test } from 'vitest'
import { Budget } from '../../../core/budget.ts'
import { hostMetrics } from '../../../receivers/host_metrics/host_metrics.ts'
import { decode, type Plain } from '../../support/otlp.ts'
import { type HostText, onMadeHost, receiving, type Row, write } from './made-host.ts'

onMadeHost()

const stat = (user: number, idle: number) => `cpu  ${user} 0 0 ${idle} 0 0 0 0 0 0
cpu0 ${user} 20 30 ${idle} 50 60 70 80 0 0
intr 12345 0 0
ctxt 99
btime 1699990000
processes 4711
procs_running 2
procs_blocked 1
`
const plain = { '/proc/stat': stat(1000, 4000), '/proc/uptime': '7200.42 1.00\n' }
const on = (...names: string[]) => Object.fromEntries(names.map(name => [name, { enabled: true }]))

const meminfo = `MemTotal:        1000 kB
MemFree:          400 kB
MemAvailable:     700 kB
Buffers:           50 kB
Cached:           200 kB
SReclaimable:      30 kB
SUnreclaim:        20 kB
Shmem:              7 kB
Dirty:              3 kB
HugePages_Total:      10
HugePages_Free:        4
HugePages_Rsvd:        1
HugePages_Surp:        2
Hugepagesize:       2048 kB
`

const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 254:1 / /with\\040space ro,nosuid shared:1 - ext4 /dev/vdb ro
25 22 254:1 /sub /bound rw - ext4 /dev/vdb rw
26 22 0:40 / /tmp rw - tmpfs tmpfs rw
a line that is none
`

const cases: readonly (readonly [title: string, scrapers: object, files: HostText, rows: readonly Row[]])[] = [
  [
    'cpu: ticks are seconds, the sum of all CPUs is not told',
    { cpu: null },
    {},
    [
      ['system.cpu.time', 'cpu0 user', 10],
      ['system.cpu.time', 'cpu0 nice', 0.2],
      ['system.cpu.time', 'cpu0 system', 0.3],
      ['system.cpu.time', 'cpu0 idle', 40],
      ['system.cpu.time', 'cpu0 wait', 0.5],
      ['system.cpu.time', 'cpu0 interrupt', 0.6],
      ['system.cpu.time', 'cpu0 softirq', 0.7],
      ['system.cpu.time', 'cpu0 steal', 0.8],
    ],
  ],
  [
    'cpu: counts and frequencies where they are switched on, without what is switched off',
    {
      cpu: {
        metrics: {
          ...on('system.cpu.logical.count', 'system.cpu.physical.count', 'system.cpu.frequency'),
          'system.cpu.time': { enabled: false },
        },
      },
    },
    {
      '/proc/cpuinfo': 'processor\t: 0\ncpu MHz\t\t: 2600.5\n\nprocessor\t: 1\ncpu MHz\t\t: 1300\n',
      '/sys/devices/system/cpu/cpu0/topology/core_cpus_list': '0-1\n',
      '/sys/devices/system/cpu/cpu1/topology/thread_siblings_list': '0-1\n',
      '/sys/devices/system/cpu/cpufreq/x': '',
    },
    [
      ['system.cpu.logical.count', '', 1],
      ['system.cpu.physical.count', '', 1],
      ['system.cpu.frequency', 'cpu0', 2_600_500_000],
      ['system.cpu.frequency', 'cpu1', 1_300_000_000],
    ],
  ],
  [
    'load',
    { load: {} },
    { '/proc/loadavg': '1.50 0.75 0.25 2/345 6789\n' },
    [
      ['system.cpu.load_average.1m', '', 1.5],
      ['system.cpu.load_average.5m', '', 0.75],
      ['system.cpu.load_average.15m', '', 0.25],
    ],
  ],
  ['system', { system: {} }, {}, [['system.uptime', '', 7200]]],
  [
    'memory: what the kernel can give back of its tables is cached; what programs could have is not used',
    { memory: {} },
    { '/proc/meminfo': meminfo },
    [
      ['system.memory.usage', 'used', 300 * 1024],
      ['system.memory.usage', 'free', 400 * 1024],
      ['system.memory.usage', 'buffered', 50 * 1024],
      ['system.memory.usage', 'cached', 230 * 1024],
      ['system.memory.usage', 'slab_reclaimable', 30 * 1024],
      ['system.memory.usage', 'slab_unreclaimable', 20 * 1024],
    ],
  ],
  [
    'memory: an old kernel without some of it tells the rest',
    { memory: { metrics: on('system.memory.limit', 'system.memory.linux.hugepages.utilization') } },
    { '/proc/meminfo': 'MemTotal: 100 kB\nMemFree: 60 kB\nBuffers: 0 kB\nCached: 10 kB\n' },
    [
      ['system.memory.usage', 'used', 30 * 1024],
      ['system.memory.usage', 'free', 60 * 1024],
      ['system.memory.usage', 'buffered', 0],
      ['system.memory.usage', 'cached', 10 * 1024],
      ['system.memory.limit', '', 100 * 1024],
    ],
  ],
  [
    'memory: shares, and huge pages',
    {
      memory: {
        metrics: {
          ...on('system.memory.utilization', 'system.memory.linux.shared', 'system.linux.memory.available'),
          ...on('system.linux.memory.dirty'),
          ...on(
            ...['limit', 'page_size', 'reserved', 'surplus', 'usage', 'utilization'].map(
              name => `system.memory.linux.hugepages.${name}`,
            ),
          ),
          'system.memory.usage': { enabled: false },
        },
      },
    },
    { '/proc/meminfo': meminfo },
    [
      ['system.memory.utilization', 'used', 0.3],
      ['system.memory.utilization', 'free', 0.4],
      ['system.memory.utilization', 'buffered', 0.05],
      ['system.memory.utilization', 'cached', 0.23],
      ['system.memory.utilization', 'slab_reclaimable', 0.03],
      ['system.memory.utilization', 'slab_unreclaimable', 0.02],
      ['system.memory.linux.shared', '', 7 * 1024],
      ['system.linux.memory.available', '', 700 * 1024],
      ['system.linux.memory.dirty', '', 3 * 1024],
      ['system.memory.linux.hugepages.page_size', '', 2048 * 1024],
      ['system.memory.linux.hugepages.limit', '', 10],
      ['system.memory.linux.hugepages.reserved', '', 1],
      ['system.memory.linux.hugepages.surplus', '', 2],
      ['system.memory.linux.hugepages.usage', 'free', 4],
      ['system.memory.linux.hugepages.usage', 'used', 6],
      ['system.memory.linux.hugepages.utilization', 'free', 0.4],
      ['system.memory.linux.hugepages.utilization', 'used', 0.6],
    ],
  ],
  [
    'paging: the numbers of the kernel',
    { paging: { metrics: on('system.paging.utilization') } },
    {
      '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 100 25 -2\n',
      '/proc/vmstat': 'pgpgin 10\npgpgout 20\npswpin 3\npswpout 4\npgfault 1000\npgmajfault 7\npgfault_other 9\n',
    },
    [
      ['system.paging.usage', '/dev/sda2 used', 25 * 1024],
      ['system.paging.usage', '/dev/sda2 free', 75 * 1024],
      ['system.paging.utilization', '/dev/sda2 used', 0.25],
      ['system.paging.utilization', '/dev/sda2 free', 0.75],
      ['system.paging.operations', 'page_in major', 3],
      ['system.paging.operations', 'page_out major', 4],
      ['system.paging.operations', 'page_in minor', 10],
      ['system.paging.operations', 'page_out minor', 20],
      ['system.paging.faults', 'major', 7],
      ['system.paging.faults', 'minor', 993],
    ],
  ],
  [
    'disk: sectors are 512 bytes; of chosen disks only; those never used and lines of old kernels are passed over',
    { disk: { exclude: { devices: ['^loop'], match_type: 'regexp' } } },
    {
      '/proc/diskstats': `   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11
 254       0 vda 10 1 80 1500 20 2 160 2500 3 4000 5000 0 0 0 0
   8       1 sda1 1 2 3 4
 252       0 zram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
`,
    },
    [
      ['system.disk.io', 'vda read', 80 * 512],
      ['system.disk.io', 'vda write', 160 * 512],
      ['system.disk.operations', 'vda read', 10],
      ['system.disk.operations', 'vda write', 20],
      ['system.disk.merged', 'vda read', 1],
      ['system.disk.merged', 'vda write', 2],
      ['system.disk.operation_time', 'vda read', 1.5],
      ['system.disk.operation_time', 'vda write', 2.5],
      ['system.disk.io_time', 'vda', 4],
      ['system.disk.weighted_io_time', 'vda', 5],
      ['system.disk.pending_operations', 'vda', 3],
    ],
  ],
  [
    'processes: by state, those that run and wait as the kernel counts them',
    { processes: {} },
    {
      '/proc/1/stat': '1 (init) S 0 1 1',
      '/proc/22/stat': '22 (a (b) c) Z 1 1 1',
      '/proc/23/stat': '23 (x) S 1 1 1',
      '/proc/24/other': '',
      '/proc/25/stat': '25 (y) ? 1 1 1',
    },
    [
      ['system.processes.count', 'sleeping', 2],
      ['system.processes.count', 'zombies', 1],
      ['system.processes.count', 'unknown', 1],
      ['system.processes.count', 'running', 2],
      ['system.processes.count', 'blocked', 1],
      ['system.processes.created', '', 4711],
    ],
  ],
]

test.each(cases)('%s', async (_, scrapers, files, rows) => {
  write({ ...plain, ...files })
  const { scrape, stop, lines } = receiving(scrapers)
  const [found] = await scrape()
  await stop()
  expect(found).toMatchObject({ resource: {}, scope: Object.keys(scrapers)[0] })
  const byName = (list: readonly Row[] = []) => list.map(row => row.join(' | ')).toSorted()
  expect(byName(found?.rows)).toEqual(byName(rows))
  expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
})

test('units, kinds, types and times are those of the semantic conventions', async () => {
  write({ ...plain, '/proc/loadavg': '1 2 3 1/1 1' })
  const { scrape, bodies, stop } = receiving({ cpu: {}, load: {}, processes: {} })
  await scrape()
  await stop()
  const request = decode('ExportMetricsServiceRequest', bodies[0] ?? Buffer.alloc(0))
  const groups = request['resource_metrics'] as Plain[]
  expect(groups.map(group => group['schema_url'])).toEqual(
    Array.from({ length: 3 }, () => 'https://opentelemetry.io/schemas/1.9.0'),
  )
  const metrics = groups.flatMap(group => (group['scope_metrics'] as Plain[]).flatMap(one => one['metrics'] as Plain[]))
  const shape = ({ name, unit, sum, gauge }: Plain) => {
    const { aggregation_temporality, is_monotonic, data_points } = (sum ?? gauge) as Plain
    const { start_time_unix_nano, as_double } = (data_points as Plain[])[0] ?? {}
    return [name, unit, aggregation_temporality, is_monotonic, start_time_unix_nano, as_double !== undefined]
  }
  expect(metrics.map(shape).toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
    ['system.cpu.load_average.15m', '{thread}', undefined, undefined, undefined, true],
    ['system.cpu.load_average.1m', '{thread}', undefined, undefined, undefined, true],
    ['system.cpu.load_average.5m', '{thread}', undefined, undefined, undefined, true],
    ['system.cpu.time', 's', 2, true, '1699990000000000000', true],
    ['system.processes.count', '{processes}', 2, undefined, '1699990000000000000', false],
    ['system.processes.created', '{processes}', 2, true, '1699990000000000000', false],
  ])
})

test('shares of CPU time are of the time between two scrapes, so that the first has none', async () => {
  write(plain)
  const { scrape, stop } = receiving({ cpu: { metrics: on('system.cpu.utilization') } })
  const shares = async () => (await scrape())[0]?.rows.filter(([name]) => name === 'system.cpu.utilization')
  expect(await shares()).toEqual([])
  write({ '/proc/stat': stat(1030, 4070) })
  expect(await shares()).toEqual(
    expect.arrayContaining([
      ['system.cpu.utilization', 'cpu0 user', 0.3],
      ['system.cpu.utilization', 'cpu0 idle', 0.7],
    ]),
  )
  await stop()
})

test('file systems: with a device unless the others are asked for, not twice, filtered by type and place', async () => {
  write({ ...plain, '/proc/1/mountinfo': mountinfo, '/with space/x': '', '/bound/x': '', '/tmp/x': '' })
  const places = async (keys: object) => {
    const { scrape, stop } = receiving({ filesystem: keys })
    const [found] = await scrape()
    await stop()
    const used = found?.rows.filter(([name, attributes]) => name.endsWith('m.usage') && attributes.endsWith(' used'))
    return used?.map(([, attributes]) => attributes.replace(/ used$/, '')).toSorted()
  }
  const [first, second] = ['/dev/vda / ext4 rw', '/dev/vdb /with space ext4 ro']
  const virtual = { include_virtual_filesystems: true }
  expect(await places({})).toEqual([first, second])
  expect(await places(virtual)).toEqual(
    expect.arrayContaining([first, second, '/dev/vdb /bound ext4 rw', 'tmpfs /tmp tmpfs rw']),
  )
  expect(await places({ exclude_mount_points: { mount_points: ['^/with'], match_type: 'regexp' } })).toEqual([first])
  expect(await places({ include_devices: { devices: ['/dev/vdb'], match_type: 'strict' } })).toEqual([second])
  const onlyTmpfs = { include_fs_types: { fs_types: ['tmpfs'], match_type: 'strict' } }
  expect(await places({ ...virtual, ...onlyTmpfs })).toEqual(['tmpfs /tmp tmpfs rw'])
})

test('what cannot be read is told once with the rest taken, and that it is read again', async () => {
  write({ ...plain, '/proc/1/mountinfo': mountinfo })
  const { scrape, lines, status, stop } = receiving({ filesystem: {}, load: {}, system: {} })
  const scopes = async () => (await scrape()).map(({ scope }) => scope).toSorted()
  expect(await scopes()).toEqual(['filesystem', 'system'])
  await scopes()
  const warnings = () => lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
  expect(warnings()).toHaveLength(2)
  expect(warnings()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ scraper: 'load', what: 'everything', error: expect.stringContaining('ENOENT') }),
      expect.objectContaining({ scraper: 'filesystem', what: expect.stringContaining('/with space') }),
    ]),
  )
  expect([status.state, status.lastError]).toEqual([
    'RecoverableError',
    expect.stringMatching(
      /^nothing can be read by `load`: ENOENT.*loadavg'; is the file system of the host at `root_path`\?$/,
    ),
  ])
  write({ '/proc/loadavg': '1 2 3 1/1 1' })
  expect(await scopes()).toEqual(['filesystem', 'load', 'system'])
  expect(lines.at(-1)).toMatchObject({ level: 'info', fields: { scraper: 'load' } })
  expect(status.state).toBe('OK')
  await stop()
})

test('where nothing can be read the component is in trouble until something can, and does not begin anew', async () => {
  const { scrape, status, clock, stop } = receiving({ load: {}, system: {} })
  await expect.poll(() => clock.advance(500).then(() => status.state)).toBe('RecoverableError')
  const { since } = status
  for (let second = 0; second < 60; second++) await clock.advance(1000)
  expect([status.state, status.since]).toEqual(['RecoverableError', since])
  write({ ...plain, '/proc/loadavg': '1 2 3 1/1 1' })
  expect((await scrape()).map(({ scope }) => scope)).toEqual(['load', 'system'])
  expect(status.state).toBe('OK')
  await stop()
})

test('without room nothing is handed in, and nothing is held; with room it goes on with what is new', async () => {
  write(plain)
  const budget = new Budget(10_000)
  budget.charge(9_990)
  const { clock, bodies, scrape, stop } = receiving({ system: {} }, {}, { budget })
  for (let second = 0; second < 100; second++) await clock.advance(1000)
  expect([bodies.length, budget.used]).toEqual([0, 9_990])
  budget.release(9_990)
  await scrape()
  await scrape()
  expect(bodies.length).toBeLessThan(5)
  await stop()
  expect(budget.used).toBe(0)
})

test.each([
  ['without a scraper', {}, 'name at least one scraper'],
  ['one that there is not', { cpus: {} }, 'cpus'],
  ['a metric that there is not', { cpu: { metrics: on('system.cpu.times') } }, 'system.cpu.times'],
  ['names without how they match', { disk: { include: { devices: ['sda'] } } }, 'match_type: strict'],
  ['no pattern', { disk: { include: { devices: ['('], match_type: 'regexp' } } }, 'no regular expression'],
])('refused: %s', (_, scrapers, message) => {
  const { success, error } = hostMetrics.config.safeParse({ scrapers })
  expect([success, JSON.stringify(error?.issues)]).toEqual([false, expect.stringContaining(message)])
})
