import { expect, test } from 'vitest'
import { cgroupOf, limitsOf, processDocument } from '../../service/surroundings.ts'

const readOf = (files: Readonly<Record<string, string>>) => (path: string) => files[path]

test.each<[string, Record<string, string>, Record<string, string>]>([
  [
    'of a group of its own',
    {
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/memory.max': '1000\n',
      '/sys/fs/cgroup/memory.max': 'max\n',
    },
    { 'memory.max': '1000' },
  ],
  [
    'of a container that sees nothing above it',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': '5\n', '/sys/fs/cgroup/cpu.max': '100 1000\n' },
    { 'memory.max': '5', 'cpu.max': '100 1000' },
  ],
  [
    'of version 1',
    { '/sys/fs/cgroup/memory/memory.limit_in_bytes': '7\n', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n' },
    { 'memory/memory.limit_in_bytes': '7', 'cpu/cpu.cfs_quota_us': '-1' },
  ],
  ['where there is none', {}, {}],
])('limits %s', (_, files, limits) => {
  expect(cgroupOf(readOf(files))).toEqual(limits)
})

test('limits of the process, as the kernel writes them', () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
Max nice priority         0                    0
`
  expect(limitsOf(text)).toEqual({
    'Max cpu time': { soft: 'unlimited', hard: 'unlimited', unit: 'seconds' },
    'Max open files': { soft: '1024', hard: '524288', unit: 'files' },
    'Max nice priority': { soft: '0', hard: '0', unit: null },
  })
})

test('of variables the names are told, never the values', () => {
  process.env['KYMO_ADMIN_TOKEN'] = 'hunter2'
  process.env['PASSWORD_OF_SOMEBODY'] = 'hunter2'
  try {
    const text = JSON.stringify(processDocument(() => undefined))
    expect(text).toContain('KYMO_ADMIN_TOKEN')
    expect(text).not.toContain('PASSWORD_OF_SOMEBODY')
    expect(text).not.toContain('hunter2')
  } finally {
    delete process.env['KYMO_ADMIN_TOKEN']
    delete process.env['PASSWORD_OF_SOMEBODY']
  }
})
