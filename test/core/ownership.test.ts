import { chmod, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { judgeDirectory, judgeDirectoryAt, type Self } from '../../core/ownership.ts'

const us: Self = { uid: 10001, groups: new Set([10001, 2000]) }
const root: Self = { uid: 0, groups: new Set([0]) }
type Facts = [uid: number, gid: number, mode: number, isMount?: boolean]

test.each<[string, Facts, Self, RegExp | 'taken' | 'taken with a caution']>([
  ['ours, for nobody else', [10001, 10001, 0o40700], us, 'taken'],
  ["ours, readable, as the Collector's", [10001, 10001, 0o40755], us, 'taken'],
  ["root's, to which we may write by our group, as of a volume with fsGroup", [0, 2000, 0o42775], us, 'taken'],
  ['ours, written to by our group, as a volume looks when it is mounted again', [10001, 2000, 0o42770], us, 'taken'],
  ['/tmp, where the sticky bit protects what is ours', [0, 0, 0o41777], us, 'taken'],
  ['an emptyDir, which is open to its pod', [0, 0, 0o40777, true], us, 'taken with a caution'],
  ['an emptyDir with fsGroup', [0, 2000, 0o42777, true], us, 'taken with a caution'],
  ['open to everybody, on the disk of the machine', [0, 0, 0o40777], us, /everybody .*`chmod o-w \/data`/],
  ['open to everybody, although it is ours', [10001, 10001, 0o40777], us, /everybody/],
  ['of another user', [10002, 10001, 0o40755], us, /belongs to user 10002.*`chown -R 10001 \/data`/],
  ['of another user, although our group may write', [10002, 2000, 0o42775], us, /belongs to user 10002/],
  ['of another user, when we are root', [10002, 0, 0o40700], root, /`sudo -u '#10002' ...`/],
  ['of another user, mounted', [10002, 0, 0o40777, true], us, /belongs to user 10002/],
  ['of another user, with the sticky bit', [10002, 0, 0o41777], us, /belongs to user 10002/],
  ['written to by a group that we are not in', [10001, 3000, 0o40770], us, /group 3000.*`chmod g-w \/data`/],
  ["root's group as root", [0, 0, 0o40775], root, 'taken'],
])('a directory is judged: %s', (_, [uid, gid, mode, isMount = false], self, expected) => {
  const { refusal, caution } = judgeDirectory('/data', { uid, gid, mode, isMount }, self)
  if (expected instanceof RegExp) expect(refusal).toMatch(expected)
  else expect([refusal, caution !== undefined]).toEqual([undefined, expected === 'taken with a caution'])
})

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

test.skipIf(process.platform === 'win32')('a link is judged by where it leads, if we made it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kymo-'))
  folders.push(folder)
  const [place, link] = [join(folder, 'place'), join(folder, 'link')]
  await mkdir(place)
  await symlink(place, link)
  expect(await judgeDirectoryAt(link)).toEqual({})
  await chmod(place, 0o777)
  expect((await judgeDirectoryAt(link)).refusal).toContain('everybody')
  const stranger: Self = { uid: (process.geteuid?.() ?? 0) + 12_345, groups: new Set() }
  if (process.geteuid?.() !== 0) expect((await judgeDirectoryAt(link, stranger)).refusal).toContain('symbolic link')
})
