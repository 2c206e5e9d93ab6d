/**
 * The environment of a process that loads ONNX Runtime. The official builds from 1.29 on send events about sessions
 * and models to their maker and keep an identifier of the machine, unless this variable says no before they start.
 * Our own settings stay behind: a password may be among them, and these processes read none.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !/^(KAFKA|LABELSTREAM)_/i.test(name))
  return {
    ...Object.fromEntries(names.map((name) => [name, process.env[name]])),
    ORT_DISABLE_TELEMETRY: '1',
  }
}
