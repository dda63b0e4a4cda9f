/** The files in which the kernel tells about a machine, wherever they stand. */
import { access, constants, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Files below the root of the host's file system; `/` unless it is mounted somewhere else. */
export class HostFiles {
  readonly #root: string
  #pageSize: number | undefined

  constructor(root: string) {
    this.#root = root
  }

  /** Where the file stands that the host has at `path`. */
  at(path: string): string {
    return join(this.#root === '' ? '/' : this.#root, path)
  }

  /** Whether they are those of another file system than ours. */
  get isElsewhere(): boolean {
    return this.#root !== '' && this.#root !== '/'
  }

  text(path: string): Promise<string> {
    return readFile(this.at(path), 'latin1')
  }

  /** Text that may hold names, which are UTF-8 as a rule. */
  names(path: string): Promise<string> {
    return readFile(this.at(path), 'utf8')
  }

  /** Lines of a file, each as its fields. */
  async rows(path: string): Promise<string[][]> {
    return (await this.names(path)).split('\n').filter(Boolean).map(fieldsOf)
  }

  list(path: string): Promise<string[]> {
    return readdir(this.at(path))
  }

  link(path: string): Promise<string> {
    return readlink(this.at(path))
  }

  /** The file of /proc that belongs to the host's first process, where `path` would be our own: /proc/net, /proc/mounts. */
  async ofHost(path: string): Promise<string> {
    return this.isElsewhere && (await this.#isReadable(`/proc/1/${path}`)) ? `/proc/1/${path}` : `/proc/self/${path}`
  }

  /** Process ids. */
  async processes(): Promise<number[]> {
    return (await this.list('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  }

  /** When the machine was started, in milliseconds since the epoch, and how many logical CPUs it has (proc_stat(5)). */
  async machine(): Promise<{ readonly booted: number | undefined; readonly cpus: number }> {
    const stat = await this.text('/proc/stat')
    const seconds = /^btime (\d+)$/m.exec(stat)?.[1]
    return {
      booted: seconds === undefined ? undefined : Number(seconds) * 1000,
      cpus: stat.match(/^cpu\d/gm)?.length ?? 1,
    }
  }

  /** Bytes of a page of memory: AT_PAGESZ of the auxiliary vector (getauxval(3)). */
  async pageSize(): Promise<number> {
    if (this.#pageSize !== undefined) return this.#pageSize
    const vector = await readFile('/proc/self/auxv')
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (vector.readBigUInt64LE(at) === 6n) this.#pageSize = Number(vector.readBigUInt64LE(at + 8))
    }
    return (this.#pageSize ??= 4096)
  }

  #isReadable(path: string): Promise<boolean> {
    return access(this.at(path), constants.R_OK).then(
      () => true,
      () => false,
    )
  }
}

/** What stands between spaces. */
export const fieldsOf = (line: string): string[] => line.trim().split(/\s+/)

/** Numbers by the name in front of them: `name 1`, `Name: 1 kB`. */
export function numbersOf(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const [, name = '', value] of text.matchAll(/^([\w()]+):?\s+(\d+)/gm)) found.set(name, Number(value))
  return found
}
