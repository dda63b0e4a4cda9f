/** The scraper of processes, on a host whose processes are known. */
import { expect, test } from 'vitest'
import { onMadeHost, receiving, write } from '../made-host.ts'

onMadeHost()

/** A process that began `start` ticks after the machine, 10,000 s before the clock of the tests. */
const process = (id: number, name: string, more: { start?: number; user?: number; uid?: number } = {}) => {
  const { start = 100_000, user = 250, uid = 1000 } = more
  const fields = `S 1 1 1 0 -1 4194560 11 0 7 0 ${user} 50 0 0 20 0 3 0 ${start} 1 1`
  const rest = '18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 9 0 0'
  return {
    [`/proc/${id}/stat`]: `${id} (${name}) ${fields} ${rest}\n`,
    [`/proc/${id}/statm`]: '2000 25 10 1 0 5 0\n',
    [`/proc/${id}/status`]: `Name:\tx\nUid:\t${uid}\t0\t0\t0\nShdPnd:\t0000000000000005\n`,
    [`/proc/${id}/io`]: 'rchar: 1000\nwchar: 2000\nsyscr: 10\nsyscw: 20\nread_bytes: 1\nwrite_bytes: 2\n',
    [`/proc/${id}/cmdline`]: `/usr/bin/${name}\0--flag\0two words\0`,
    [`/proc/${id}/exe`]: [`/usr/bin/${name}`] as const,
    [`/proc/${id}/cgroup`]: '0::/system.slice/x.service\n',
    [`/proc/${id}/fd/0`]: '',
    [`/proc/${id}/fd/1`]: '',
    [`/proc/${id}/task/${id}/status`]: 'voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n',
    [`/proc/${id}/task/9${id}/status`]: 'voluntary_ctxt_switches:\t50\nnonvoluntary_ctxt_switches:\t20\n',
  }
}
const host = {
  '/proc/stat': 'cpu  1 1 1 1\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nbtime 1699990000\n',
  '/proc/meminfo': 'MemTotal: 1000 kB\n',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nshop:x:1000:1000::/home/shop:/bin/sh\n',
}
const on = (...names: string[]) => Object.fromEntries(names.map(name => [name, { enabled: true }]))

test('each process is a resource of its own, with what it used', async () => {
  write({ ...host, ...process(42, 'shop') })
  const { scrape, stop, lines } = receiving({ process: {} })
  expect(await scrape()).toEqual([
    {
      scope: 'process',
      resource: {
        'process.pid': '42',
        'process.parent_pid': '1',
        'process.executable.name': 'shop',
        'process.executable.path': '/usr/bin/shop',
        'process.command': '/usr/bin/shop',
        'process.command_line': '/usr/bin/shop --flag two words',
        'process.owner': 'shop',
      },
      rows: [
        ['process.cpu.time', 'user', 2.5],
        ['process.cpu.time', 'system', 0.5],
        ['process.cpu.time', 'wait', 0.09],
        ['process.memory.usage', '', 25 * 4096],
        ['process.memory.virtual', '', 8_192_000],
        ['process.disk.io', 'read', 1000],
        ['process.disk.io', 'write', 2000],
      ],
    },
  ])
  await stop()
  expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
})

test('what is switched on is told, too; shares of CPU time from the second scrape on', async () => {
  write({ ...host, ...process(42, 'shop') })
  const names = ['threads', 'paging.faults', 'open_file_descriptors', 'signals_pending', 'context_switches', 'uptime']
  const more = ['cpu.utilization', 'memory.utilization', 'disk.operations']
  const off = ['cpu.time', 'memory.usage', 'memory.virtual', 'disk.io']
  const { scrape, stop } = receiving({
    process: {
      metrics: {
        ...on(...[...names, ...more].map(name => `process.${name}`)),
        ...Object.fromEntries(off.map(name => [`process.${name}`, { enabled: false }])),
      },
      resource_attributes: { 'process.cgroup': { enabled: true }, 'process.command_line': { enabled: false } },
    },
  })
  const [first] = await scrape()
  expect(first?.resource).toMatchObject({ 'process.cgroup': '0::/system.slice/x.service' })
  expect(first?.resource).not.toHaveProperty(['process.command_line'])
  expect(first?.rows.filter(([name]) => name !== 'process.uptime')).toEqual([
    ['process.memory.utilization', '', 10],
    ['process.threads', '', 3],
    ['process.paging.faults', 'minor', 11],
    ['process.paging.faults', 'major', 7],
    ['process.disk.operations', 'read', 10],
    ['process.disk.operations', 'write', 20],
    ['process.open_file_descriptors', '', 2],
    ['process.signals_pending', '', 2],
    ['process.context_switches', 'voluntary', 55],
    ['process.context_switches', 'involuntary', 22],
  ])
  const uptime = first?.rows.find(([name]) => name === 'process.uptime')?.[2] ?? 0
  expect(uptime).toBeGreaterThan(9000)
  // Two seconds of two CPUs in ten seconds.
  write({ '/proc/42/stat': process(42, 'shop', { user: 450 })['/proc/42/stat'] ?? '' })
  const [second] = await scrape()
  expect(second?.rows.filter(([name]) => name === 'process.cpu.utilization')).toEqual([
    ['process.cpu.utilization', 'user', 0.1],
    ['process.cpu.utilization', 'system', 0],
    ['process.cpu.utilization', 'wait', 0],
  ])
  await stop()
})

test.each([
  ['include', { include: { names: ['shop'], match_type: 'strict' } }, ['shop']],
  ['exclude', { exclude: { names: ['^sh'], match_type: 'regexp' } }, ['db', 'a-very-long-name-of-a-program']],
  ['scrape_process_delay', { scrape_process_delay: '9500s' }, ['shop', 'db']],
])('%s chooses processes; a name that the kernel cut is whole', async (_, keys, names) => {
  write({ ...host, ...process(1, 'shop', { start: 0 }), ...process(2, 'db', { start: 0 }) })
  const long = 'a-very-long-name-of-a-program'
  write({ ...process(3, long), '/proc/3/stat': process(3, long.slice(0, 15))['/proc/3/stat'] ?? '' })
  const { scrape, stop } = receiving({ process: keys })
  const found = (await scrape()).map(({ resource }) => String(resource['process.executable.name']))
  expect(found.toSorted()).toEqual([...names].toSorted())
  await stop()
})

test('what of a process cannot be read is left out and told once with its count, unless it is muted', async () => {
  write({ ...host, ...process(1, 'a', { uid: 77 }), ...process(2, 'b', { uid: 78 }) })
  const told = async (keys: object) => {
    const { scrape, lines, stop } = receiving({ process: keys })
    const found = await scrape()
    await scrape()
    await stop()
    expect(found.map(({ resource }) => resource['process.owner'])).toEqual([undefined, undefined])
    return lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
  }
  expect(await told({})).toEqual([
    {
      scraper: 'process',
      what: 'user of a process',
      error: expect.stringMatching(/^\/etc\/passwd names no user 7[78]$/),
      times: 2,
    },
  ])
  expect(await told({ mute_process_user_error: true })).toEqual([])
  expect(await told({ mute_process_all_errors: true })).toEqual([])
})

test('a process that has ended meanwhile is no failure', async () => {
  write({ ...host, ...process(1, 'a'), '/proc/2/other': '' })
  const { scrape, lines, stop } = receiving({ process: {} })
  expect((await scrape()).map(({ resource }) => resource['process.pid'])).toEqual(['1'])
  await stop()
  expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
})
