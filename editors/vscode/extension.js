// Starts `causalc lsp` for .causal files. Where it is not installed, the colours still work.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = async () => {
  const [command, ...args] = workspace.getConfiguration("causalc").get("command");
  if (!command) return;
  client = new LanguageClient(
    "causalc",
    { command, args },
    { documentSelector: [{ language: "causal" }] },
  );
  await client.start();
};

exports.deactivate = () => client && client.stop();
