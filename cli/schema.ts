/** `kymo schema`: JSON Schema of configurations, for editors. */
import { everyComponent } from '../components.ts'
import { quoted, suggest } from '../config/nearest.ts'
import { componentSchema, fileSchema } from '../config/schema.ts'
import type { Definition } from '../core/component.ts'
import { exitCodes } from '../service/process.ts'

/** Prints the schema of a whole file, or of one component; returns the exit code. */
export async function schema(name: string | undefined): Promise<number> {
  const components = await everyComponent()
  if (name === undefined) return print(fileSchema(components))
  const found = findComponent(name, components)
  if (typeof found !== 'string') return print(componentSchema(found))
  process.stderr.write(`${found}\n`)
  return exitCodes.failed
}

function print(made: object): number {
  process.stdout.write(`${JSON.stringify(made, null, 2)}\n`)
  return exitCodes.clean
}

/** The component of a name such as `batch` or `exporter/otlp_grpc`; a text when there is none, or more than one. */
export function findComponent(name: string, definitions: readonly Definition[]): Definition | string {
  const [, kind, type = name] = /^(?:(receiver|processor|exporter|connector|extension)s?\/)?(.*)$/s.exec(name) ?? []
  const ofKind = definitions.filter(one => kind === undefined || one.kind === kind)
  const exact = ofKind.filter(one => one.type === type)
  // An older name only where it is not the name of something else: `otlp` is the receiver.
  const found = exact.length > 0 ? exact : ofKind.filter(one => one.aliases?.includes(type) === true)
  const [first, ...others] = found
  if (first === undefined) {
    const names = ofKind.map(one => one.type)
    const known = `components of this build: ${quoted(new Set(names))}`
    return `there is no component \`${name}\` in this build; ${suggest(type, names, known) ?? known}`
  }
  if (others.length === 0) return first
  return `\`${name}\` is the name of several components; write ${quoted(found.map(one => `${one.kind}/${one.type}`))}`
}
