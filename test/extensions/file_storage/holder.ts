/** A process of its own that has a directory and says so, until it is ended. */
import { lockDirectory } from '../../../extensions/file_storage/lock.ts'

await lockDirectory(process.argv[2], 1_000)
process.stdout.write('has it\n')
setInterval(() => {}, 1_000)
