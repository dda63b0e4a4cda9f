/**
 * Whose a directory is, and who may write in it: where others may, they can exchange what we write for a link to
 * something of ours, or of anybody's whom we can write over.
 */
import { constants } from 'node:fs'
import { lstat, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Who this process is. */
export interface Self {
  readonly uid: number
  readonly groups: ReadonlySet<number>
}

/** What is known of a directory. */
export interface DirectoryFacts {
  readonly uid: number
  readonly gid: number
  readonly mode: number
  /** Something else is mounted there than where it stands. */
  readonly isMount: boolean
}

/** What is thought of a directory. */
export interface Judgement {
  /** Why nothing of ours may be put there, and what to type; undefined when it may. */
  readonly refusal?: string
  /** What should be known of it all the same. */
  readonly caution?: string
  /** Whether others can put something there beside what is ours. */
  readonly isShared?: true
}

/** To be added to the flags of opening: a link at the end of a path is not followed. Windows has none of it. */
export const noFollow = constants.O_NOFOLLOW || 0

/** Opening does not wait for the other end of a pipe. */
export const noWait = constants.O_NONBLOCK || 0

const writableByOthers = 0o002
const writableByGroup = 0o020
const sticky = 0o1000

/** Who this process is; undefined on Windows, which has other rights. */
export function ownSelf(): Self | undefined {
  const { geteuid, getegid, getgroups } = process
  if (geteuid === undefined || getegid === undefined || getgroups === undefined) return undefined
  return { uid: geteuid(), groups: new Set([getegid(), ...getgroups()]) }
}

/**
 * Whether others can put something in the place of what we keep in a directory. It must be ours or root's. A group may
 * write when we are in it: volumes of Kubernetes with an `fsGroup` are like that. Everybody may where the sticky bit
 * protects what is there, as in /tmp, and in a volume that is mounted (an `emptyDir` is open to all in its pod): there what
 * counts is that the directory we make inside is ours.
 */
export function judgeDirectory(path: string, facts: DirectoryFacts, self: Self): Judgement {
  const { uid, gid, mode, isMount } = facts
  const other = 'or name another directory'
  if (uid !== self.uid && uid !== 0) {
    const asThem = self.uid === 0 ? `, run this as that user (\`sudo -u '#${uid}' ...\`)` : ''
    const what = `it belongs to user ${uid}, and this process is user ${self.uid}`
    return { refusal: `${what}: \`chown -R ${self.uid} ${path}\`${asThem}, ${other}`, isShared: true }
  }
  const isOpen = (mode & writableByOthers) !== 0
  const isForeign = (mode & writableByGroup) !== 0 && !self.groups.has(gid)
  if (!isOpen && !isForeign) return {}
  if ((mode & sticky) !== 0) return { isShared: true }
  if (isOpen && isMount) {
    const caution = 'everybody who has this volume can write there; a directory of its own in it is safer'
    return { caution, isShared: true }
  }
  const refusal = isOpen
    ? `everybody on this machine can write there: \`chmod o-w ${path}\`, ${other}`
    : `group ${gid}, which this process is not in, can write there: \`chmod g-w ${path}\`, ${other}`
  return { refusal, isShared: true }
}

/** The same of a directory that is there; a link to one is taken when it is ours or root's. @throws what the system says */
export async function judgeDirectoryAt(path: string, self = ownSelf()): Promise<Judgement> {
  if (self === undefined) return {}
  const link = await lstat(path)
  if (link.isSymbolicLink() && link.uid !== self.uid && link.uid !== 0) {
    return { refusal: `it is a symbolic link that user ${link.uid} has made: remove it, or name another directory` }
  }
  const place = await realpath(path)
  const { uid, gid, mode, dev } = await stat(place)
  const around = await deviceOf(dirname(place))
  const judgement = judgeDirectory(path, { uid, gid, mode, isMount: around !== undefined && dev !== around }, self)
  if (judgement.refusal === undefined || around !== undefined) return judgement
  const hint = `whether it is a volume cannot be seen without \`--allow-fs-read=${dirname(place)}\``
  return { ...judgement, refusal: `${judgement.refusal} (${hint})` }
}

/** What a directory is on; undefined when Node's permission model does not let it be seen. */
async function deviceOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).dev
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED') return undefined
    throw error
  }
}
