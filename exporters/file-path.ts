/** Where the `file` exporter puts what a resource attribute names. */
import { posix } from 'node:path'

/** A path with one `*`, in the place of which comes what the attribute says. */
export class GroupedPath {
  readonly #prefix: string
  readonly #suffix: string

  constructor(path: string) {
    const [before, after = ''] = path.split('*')
    const cleaned = clean(before)
    this.#prefix = before.endsWith('/') && !cleaned.endsWith('/') ? `${cleaned}/` : cleaned
    this.#suffix = after
  }

  /** The file for `segment`: always below what stands in front of the `*`, whatever a sender wrote. As in the Collector. */
  of(segment: string): string {
    let inner = segment
    if (inner.startsWith('./')) inner = inner.slice(1)
    else if (inner.startsWith('../')) inner = inner.slice(2)
    const path = clean(this.#prefix + inner + this.#suffix)
    return path.startsWith(this.#prefix) ? path : clean(`${this.#prefix}/${clean(`/${inner}${this.#suffix}`)}`)
  }
}

/** The shortest equal path, without a slash at its end. */
function clean(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}
