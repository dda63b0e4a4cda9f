/** Values in Kyma's documents, which stand there or in a Secret. */
import type { Node } from '../document.ts'
import type { Report } from '../report.ts'
import { at, entryAt, literal, textAt } from './nodes.ts'

/** The values of one output, which may be named by reference. */
export class Values {
  readonly path: string
  readonly otlp: Node
  readonly #report: Report

  constructor(path: string, otlp: Node, report: Report) {
    this.path = path
    this.otlp = otlp
    this.#report = report
  }

  /** The value at a path: `value`, or an error where it stands in a Secret. */
  read(...path: readonly string[]): Node | undefined {
    return this.valueOf(at(this.otlp, ...path), path.join('::'))
  }

  /** The value of a section with `value` or `valueFrom`. */
  valueOf(around: Node | undefined, name: string): Node | undefined {
    const from = entryAt(around, 'valueFrom')
    const reference = at(from?.value, 'secretKeyRef')
    if (from !== undefined && reference !== undefined) {
      const [secret, namespace] = [textAt(reference, 'name') ?? '', textAt(reference, 'namespace') ?? '']
      const message = `${this.path}::${name}: the Secret \`${namespace}/${secret}\` can only be read in a cluster`
      const hint = 'outside of one write `value: ${env:NAME}` in place of `valueFrom`'
      this.#report.error('CONFIG_SOURCE', from.key, message, hint)
      return undefined
    }
    const value = at(around, 'value')
    return value?.kind === 'scalar' && typeof value.value === 'string' ? literal(value.place, value.value) : value
  }
}
