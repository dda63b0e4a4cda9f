import { statfs } from 'node:fs/promises'
import * as z from 'zod'
import { within } from '../../../core/clock.ts'
import { defineScraper, type Scrape } from '../scraper.ts'
import { fieldsOf, type HostFiles } from '../host-files.ts'
import { chooser, nameList } from '../name-filter.ts'

const usage = (description: string, unit: string) => ({ description, unit, kind: 'sum' }) as const

const metrics = {
  'system.filesystem.usage': usage('Bytes of a file system by state.', 'By'),
  'system.filesystem.inodes.usage': usage('Inodes of a file system by state.', '{inodes}'),
  'system.filesystem.utilization': {
    description: 'Share of the bytes of a file system that is used, from 0 to 1; what is reserved counts as neither.',
    unit: '1',
    kind: 'gauge',
    fractional: true,
    optional: true,
  },
} as const
type Name = keyof typeof metrics

/** A file system where it is mounted. */
interface Mount {
  readonly device: string
  readonly mountpoint: string
  readonly type: string
  readonly mode: string
}

/** Milliseconds in which a file system has to answer. A server that is gone never does, and holds a thread meanwhile. */
const answerWithin = 2000

const devices = () => nameList('devices', 'devices').optional()
const types = () => nameList('fs_types', 'types of file systems').optional()
const points = () => nameList('mount_points', 'places').optional()

export const filesystem = defineScraper({
  name: 'filesystem',
  summary: 'Space of file systems.',
  metrics,
  keys: {
    include_virtual_filesystems: z
      .boolean()
      .default(false)
      .describe('Those without a device, too, such as tmpfs, and folders that are mounted a second time.'),
    include_devices: devices().describe('Only on these devices.'),
    exclude_devices: devices().describe('Not on these devices.'),
    include_fs_types: types().describe('Only of these types.'),
    exclude_fs_types: types().describe('Not of these types.'),
    include_mount_points: points().describe('Only where they are mounted here.'),
    exclude_mount_points: points().describe('Not where they are mounted here.'),
  },
  create(keys) {
    const isDevice = chooser('devices', keys.include_devices, keys.exclude_devices)
    const isType = chooser('fs_types', keys.include_fs_types, keys.exclude_fs_types)
    const isPlace = chooser('mount_points', keys.include_mount_points, keys.exclude_mount_points)
    /** Mounts whose answer is still awaited: they are not asked again. */
    const silent = new Set<string>()
    return async scrape => {
      const { files } = scrape
      const found = await mounts(files, keys.include_virtual_filesystems)
      const wanted = found.filter(one => isDevice(one.device) && isType(one.type) && isPlace(one.mountpoint))
      await Promise.all(wanted.map(mount => record(mount, scrape, silent)))
    }
  },
})

async function record(mount: Mount, scrape: Scrape<Name>, silent: Set<string>): Promise<void> {
  const { files, readings, failed, clock } = scrape
  const path = files.at(mount.mountpoint)
  try {
    if (silent.has(path)) throw new Error('an earlier question is not answered yet')
    silent.add(path)
    const answer = statfs(path).finally(() => silent.delete(path))
    const late = `no answer within ${answerWithin / 1000} s`
    const { bsize, blocks, bfree, bavail, files: inodes, ffree } = await within(clock, answerWithin, answer, late)
    const used = (blocks - bfree) * bsize
    const free = bavail * bsize
    for (const [state, value] of Object.entries({ used, free, reserved: blocks * bsize - used - free })) {
      readings.record('system.filesystem.usage', value, { ...mount, state })
    }
    for (const [state, value] of Object.entries({ used: inodes - ffree, free: ffree })) {
      readings.record('system.filesystem.inodes.usage', value, { ...mount, state })
    }
    readings.record('system.filesystem.utilization', used + free > 0 ? used / (used + free) : 0, { ...mount })
  } catch (error) {
    failed(`file system at ${path}`, error)
  }
}

/** What is mounted (proc_pid_mountinfo(5)). What is mounted twice at one place is seen once. */
async function mounts(files: HostFiles, all: boolean): Promise<Mount[]> {
  const path = await mountTable(files)
  const found = new Map<string, Mount>()
  /** The device of what has the same number was seen first. */
  const byNumber = new Map<string, string>()
  for (const line of path.split('\n')) {
    const [left = '', right] = line.split(' - ', 2)
    if (right === undefined) continue
    const [, , number = '', root = '', place = '', options = ''] = fieldsOf(left)
    const [type = '', source = ''] = fieldsOf(right)
    const hasDevice = source.startsWith('/')
    const isBind = hasDevice && root !== '/'
    const device = byNumber.get(number) ?? (hasDevice || root === '/' ? source : root)
    byNumber.set(number, device)
    if (!all && (!hasDevice || isBind)) continue
    const mountpoint = unescaped(place)
    const flags = options.split(',')
    const mode = ['rw', 'ro'].find(flag => flags.includes(flag)) ?? 'unknown'
    const key = `${mountpoint}\0${device}`
    if (!found.has(key)) found.set(key, { device: unescaped(device), mountpoint, type, mode })
  }
  return [...found.values()]
}

/** That of the first process; whoever may not see that sees its own. */
const mountTable = (files: HostFiles): Promise<string> =>
  files.names('/proc/1/mountinfo').catch(() => files.names('/proc/self/mountinfo'))

/** Spaces and the like stand as octal numbers. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))
