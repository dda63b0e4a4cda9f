import { expect, test } from 'vitest'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { REPLACE, rewriteItems } from '../../proto/rewrite.ts'
import { encode, flatten } from '../support/otlp.ts'

test('items that grow: whatever they outgrow, lengths or the output, all that comes out is theirs', () => {
  for (let groups = 1; groups <= 14; groups++) {
    const body = encode('ExportTraceServiceRequest', {
      resource_spans: Array.from({ length: groups }, (_, i) => ({
        scope_spans: [{ spans: [{ name: 'n'.repeat(20 + i) }] }, { spans: [{ name: 'x' }] }],
      })),
    })
    const { groups: before } = readRequest('traces', body)
    for (let growth = 3; growth < 200; growth++) {
      const more = encode('Span', { trace_state: 's'.repeat(growth) })
      const { groups: after } = rewriteItems('traces', before, {
        item(bytes, start, end, out) {
          out.begin(end - start + more.length)
          out.copy(bytes, start, end)
          out.copy(more, 0, more.length)
          return REPLACE
        },
      })
      const written = encodeGroups(after.filter(group => group !== undefined))
      const expected = flatten('traces', body).map(({ item }) => ({ ...item, trace_state: 's'.repeat(growth) }))
      expect(flatten('traces', written).map(({ item }) => item)).toEqual(expected)
    }
  }
})
