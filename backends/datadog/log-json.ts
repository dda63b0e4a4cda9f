/** Values of logs as Datadog takes them: maps in maps become keys joined by dots. */
import { JsonText } from '../../proto/json-text.ts'
import { CLOSE_LIST, CLOSE_OBJECT, COLON, COMMA, OPEN_LIST, OPEN_OBJECT } from '../../proto/json-scan.ts'
import { type Value, valueText } from '../../proto/values.ts'

/** Writes JSON with the values of log records in it. */
export class LogJson extends JsonText {
  /**
   * A value of any kind. Lists keep their values; maps in them get keys joined by dots; what is deeper than `depth`
   * levels is a text.
   */
  value(value: Value, depth: number): void {
    if (typeof value === 'string') this.quoted(value)
    else if (typeof value === 'number') this.double(value)
    else if (typeof value === 'bigint' || typeof value === 'boolean') this.ascii(String(value))
    else if (Array.isArray(value)) this.#list(value, depth)
    else if (value instanceof Map && depth > 0) this.#map(value, depth)
    else this.quoted(valueText(value))
  }

  #list(list: readonly Value[], depth: number): void {
    this.byte(OPEN_LIST)
    list.forEach((value, i) => {
      if (i > 0) this.byte(COMMA)
      this.value(value, depth - 1)
    })
    this.byte(CLOSE_LIST)
  }

  #map(map: ReadonlyMap<string, Value>, depth: number): void {
    this.byte(OPEN_OBJECT)
    const start = this.at
    this.flattened('', map, depth, key => {
      if (this.at > start) this.byte(COMMA)
      this.quoted(key)
      this.byte(COLON)
      return true
    })
    this.byte(CLOSE_OBJECT)
  }

  /**
   * The values of a map, those of maps in it included: each for whose key `label` says so, after that has written it.
   * What follows a value is for `label` to write.
   */
  flattened(prefix: string, map: ReadonlyMap<string, Value>, depth: number, label: (key: string) => boolean): void {
    for (const [name, value] of map) {
      const key = prefix === '' ? name : `${prefix}.${name}`
      if (value instanceof Map && depth > 1) this.flattened(key, value, depth - 1, label)
      else if (label(key)) this.value(value, depth - 1)
    }
  }
}
