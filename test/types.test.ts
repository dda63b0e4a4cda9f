import { expect, test } from 'vitest'
import { beyond } from '../scripts/types.ts'

const places = ['proto/', 'exporters/states.ts']
const error = (file: string) => `${file}(4,7): error TS2532: Object is possibly 'undefined'.`
const more = "  Type 'undefined' is not assignable to type 'number'."

test.each<[name: string, output: string[], told: string[], idle: string[]]>([
  ['nothing', [], [], ['exporters/states.ts']],
  [
    'what stands in a folder that is let be, with more of it',
    [error('proto/a/b.ts'), more],
    [],
    ['exporters/states.ts'],
  ],
  ['what stands in a file that is let be', [error('exporters/states.ts')], [], []],
  [
    'what stands in another file, with more of it',
    [error('exporters/states.ts'), more, error('core/a.ts'), more],
    [error('core/a.ts'), more],
    [],
  ],
  [
    'a file whose name only begins like one that is let be',
    [error('exporters/states.ts'), error('exporters/states.tsx'), error('protocol/a.ts'), error('core/proto/a.ts')],
    [error('exporters/states.tsx'), error('protocol/a.ts'), error('core/proto/a.ts')],
    [],
  ],
  [
    'what stands in no file',
    [error('exporters/states.ts'), "error TS5023: Unknown compiler option 'x'.", 'panic: out of memory'],
    ["error TS5023: Unknown compiler option 'x'.", 'panic: out of memory'],
    [],
  ],
])('of %s', (_, output, told, idle) => {
  expect(beyond(`${output.join('\n')}\n`, places)).toEqual({ told, idle })
})
