/** Where the `file` exporter puts what a resource attribute names. */
import { posix } from 'node:path'

/** Most folders that an attribute may ask for, one in another. */
export const mostFolders = 10
/** Most characters of an attribute. */
export const longestSegment = 1024

/** A path with one `*`, in the place of which comes what the attribute says. */
export class GroupedPath {
  /** The folder below which all files are. */
  readonly base: string
  readonly #prefix: string
  readonly #suffix: string

  constructor(path: string) {
    const [before = '', after = ''] = path.split('*')
    const cleaned = clean(before)
    this.#prefix = before.endsWith('/') && !cleaned.endsWith('/') ? `${cleaned}/` : cleaned
    this.#suffix = after
    this.base = posix.dirname(`${this.#prefix}x`)
  }

  /**
   * The file for `segment`: always below what stands in front of the `*`, whatever a sender wrote. As in the Collector,
   * except that what would act on a terminal stands there as `_`. Undefined when it is too long or leads too deep.
   */
  of(segment: string): string | undefined {
    if (segment.length > longestSegment) return undefined
    const path = this.#below(segment.replace(/(?!\0)\p{Cc}/gu, '_'))
    return slashesIn(path.slice(this.#prefix.length)) > mostFolders + slashesIn(this.#suffix) ? undefined : path
  }

  #below(segment: string): string {
    let inner = segment
    if (inner.startsWith('./')) inner = inner.slice(1)
    else if (inner.startsWith('../')) inner = inner.slice(2)
    const path = clean(this.#prefix + inner + this.#suffix)
    return path.startsWith(this.#prefix) ? path : clean(`${this.#prefix}/${clean(`/${inner}${this.#suffix}`)}`)
  }
}

const slashesIn = (path: string): number => path.split('/').length - 1

/** The shortest equal path, without a slash at its end. */
function clean(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

/** Files that an exporter has begun, and how it writes them. */
export class Begun {
  readonly form: string
  readonly paths: ReadonlySet<string>

  constructor(form: string, paths: ReadonlySet<string>) {
    this.form = form
    this.paths = paths
  }
}

const ofNames = new Set(['ENAMETOOLONG', 'EISDIR', 'ENOTDIR', 'EEXIST', 'EINVAL', 'ERR_INVALID_ARG_VALUE'])

/** Whether what is wrong is the name, not the disk: it will not be better next time. */
export function isOfName(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ofNames.has(String(error.code))
}
