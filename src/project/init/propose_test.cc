// `locald init` over the files of projects as people have them.
#include "project/init/proposal.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/strings.h"
#include "project/init/part.h"
#include "project/network_check.h"
#include "project/project_check.h"
#include "project/test_project.h"
#include "project/toml/toml_front.h"

namespace locald::project::init {
namespace {

using Files = std::map<std::string, std::string>;

Folder memory(const Files& files) {
  Folder out;
  out.dir = "/home/me/My Shop";
  out.names = [&files](const std::string& path) {
    const std::string prefix = path.empty() ? "" : path + "/";
    std::set<std::string> names;
    for (const auto& [file, text] : files) {
      if (!file.starts_with(prefix)) continue;
      const std::string rest = file.substr(prefix.size());
      names.insert(rest.substr(0, std::min(rest.find('/'), rest.size() - 1) + 1));
    }
    return std::vector<std::string>(names.begin(), names.end());
  };
  out.read = [&files](const std::string& path) {
    const auto it = files.find(path);
    return it == files.end() ? std::nullopt : std::optional(it->second);
  };
  return out;
}

/// A line for each service, as the file that was proposed has it: its command or image, its port,
/// what it waits for.
std::string summary(const std::string& text) {
  ParsedProject parsed = parse_project_toml(text, "/p/locald.toml");
  decide_networks(parsed.spec, NetworkUse::Mode::project);
  check_project(parsed.spec, parsed.problems);
  EXPECT_EQ(describe(parsed.problems), "") << text;
  for (const std::string& line : split(text, '\n'))
    EXPECT_TRUE(!line.starts_with('#') || line.size() <= 100) << line;
  std::string out;
  for (const ServiceSpec& s : parsed.spec.services) {
    out += s.name + ": ";
    out += !s.command.empty() ? s.command.words[0].raw : s.image.raw;
    if (s.kind == ServiceKind::cnb) out += "cnb " + s.build.path.raw + " " + s.build.builder.raw;
    if (!s.workdir.empty()) out += " in " + s.workdir.raw;
    if (s.auto_port) out += " @auto";
    if (s.port != 0) out += " @" + std::to_string(s.port);
    if (s.once) out += " once";
    for (const DependencySpec& d : s.depends_on) out += " <" + d.service;
    out += "\n";
  }
  return out;
}

std::string proposed(const Files& files, const std::set<std::string>& without = {}) {
  const auto made = propose(memory(files), without);
  return made ? summary(made->text) : made.error().text();
}

TEST(Init, AViteApp) {
  EXPECT_EQ(proposed({{"package.json", R"({"scripts": {"dev": "vite", "build": "vite build"}})"},
                      {"package-lock.json", "{}"},
                      {"index.html", "<html>"}}),
            "web: npm run dev -- --port $PORT --strictPort @auto\n");
}

TEST(Init, ANextAppWithPrismaAndPnpm) {
  EXPECT_EQ(proposed({{"package.json",
                       R"({"scripts": {"dev": "next dev --turbo", "start": "next start"},
                     "dependencies": {"next": "15", "@prisma/client": "6", "ioredis": "5"}})"},
                      {"pnpm-lock.yaml", ""},
                      {"prisma/schema.prisma", "datasource db {\n  provider = \"postgresql\"\n}\n"},
                      {"prisma/migrations/1_init/migration.sql", ""}}),
            "db: postgres:17 @auto\n"
            "migrate: pnpm exec prisma migrate deploy once <db <redis\n"
            "redis: redis:7 @auto\n"
            "web: pnpm run dev @auto <db <redis <migrate\n");
}

TEST(Init, AnExpressAppWithAWorkerAndAQueue) {
  EXPECT_EQ(proposed({{"package.json", R"({"main": "server.js",
                  "scripts": {"start": "node server.js", "worker": "node worker.js",
                              "db:migrate": "knex migrate:latest"},
                  "dependencies": {"express": "5", "pg": "8", "bullmq": "5"}})"},
                      {"yarn.lock", ""},
                      {"server.js", "app.listen(process.env.PORT || 3000)"},
                      {"worker.js", ""}}),
            "db: postgres:17 @auto\n"
            "migrate: yarn run db:migrate once <db <redis\n"
            "redis: redis:7 @auto\n"
            "web: yarn run start @auto <db <redis <migrate\n"
            "worker: yarn run worker <db <redis <migrate\n");
}

TEST(Init, AServerAtAPortOfItsOwn) {
  EXPECT_EQ(proposed({{"package.json", R"({"scripts": {"dev": "nodemon src/index.js"}})"},
                      {"src/index.js", "const app = express();\napp.listen(3000, () => {});\n"}}),
            "web: npm run dev @3000\n");
  EXPECT_EQ(proposed({{"package.json", "{}"}, {"server.js", "http.createServer().listen(4000)"}}),
            "web: node server.js @4000\n");
}

TEST(Init, AMonorepoRunsItsOwnDevScript) {
  EXPECT_EQ(
      proposed(
          {{"package.json", R"({"workspaces": ["apps/*"], "scripts": {"dev": "turbo run dev"}})"},
           {"apps/web/package.json", R"({"scripts": {"dev": "next dev"}})"},
           {"apps/api/package.json", R"({"scripts": {"dev": "tsx watch src/index.ts"}})"}}),
      "web: npm run dev\n");
}

TEST(Init, ABackendAndAFrontendSideBySide) {
  EXPECT_EQ(
      proposed({{"backend/requirements.txt", "fastapi[standard]\nasyncpg\nalembic\n"},
                {"backend/alembic.ini", "[alembic]"},
                {"backend/app/__init__.py", ""},
                {"backend/app/main.py", "from fastapi import FastAPI\napp = FastAPI()\n"},
                {"backend/.venv/bin/python", ""},
                {"frontend/package.json", R"({"scripts": {"dev": "vite --host"}})"},
                {"frontend/node_modules/x/package.json", R"({"scripts": {"start": "x"}})"}}),
      "backend: .venv/bin/python -m uvicorn app.main:app --reload --port $PORT in backend @auto "
      "<db <backend-migrate\n"
      "backend-migrate: .venv/bin/python -m alembic upgrade head in backend once <db\n"
      "db: postgres:17 @auto\n"
      "frontend: npm run dev -- --port $PORT --strictPort in frontend @auto\n");
}

TEST(Init, DjangoWithCeleryAndRedis) {
  EXPECT_EQ(proposed({{"manage.py", "#!/usr/bin/env python\n"},
                      {"requirements.txt",
                       "Django>=5\npsycopg[binary]==3.2\ncelery[redis]  # tasks\n-r base.txt\n"},
                      {"shop/settings.py", "DEBUG = True\n"},
                      {"shop/celery.py", "from celery import Celery\napp = Celery('shop')\n"},
                      {"package.json", R"({"scripts": {"dev": "tailwindcss --watch"}})"}}),
            "db: postgres:17 @auto\n"
            "frontend: npm run dev <db <redis <migrate\n"
            "migrate: python3 manage.py migrate once <db <redis\n"
            "redis: redis:7 @auto\n"
            "web: python3 manage.py runserver $PORT @auto <db <redis <migrate\n"
            "worker: python3 -m celery -A shop worker --loglevel=info <db <redis <migrate\n");
}

TEST(Init, FlaskWithAFactoryUnderPoetry) {
  EXPECT_EQ(
      proposed(
          {{"pyproject.toml",
            "[tool.poetry.dependencies]\npython = \"^3.12\"\nflask = \"^3\"\nPyMySQL = \"*\"\n"},
           {"poetry.lock", ""},
           {"blog/__init__.py", "def create_app():\n    app = Flask(__name__)\n    return app\n"}}),
      "mysql: mysql:8.4 @auto\n"
      "web: poetry run python -m flask --app blog run --debug --port $PORT @auto <mysql\n");
}

TEST(Init, FastApiUnderUvInASourceFolder) {
  EXPECT_EQ(
      proposed({{"pyproject.toml",
                 "[project]\nname = \"api\"\ndependencies = [\"fastapi\", \"motor>=3\"]\n"
                 "[dependency-groups]\ndev = [\"pytest\"]\n"},
                {"uv.lock", ""},
                {"src/api/main.py", "from fastapi import FastAPI\n\napi: FastAPI = FastAPI(\n"}}),
      "mongo: mongo:7 @auto\n"
      "web: uv run python -m uvicorn api.main:api --app-dir src --reload --port $PORT @auto "
      "<mongo\n");
}

TEST(Init, AGoModuleWithSeveralPrograms) {
  EXPECT_EQ(
      proposed({{"go.mod",
                 "module example.com/shop\n\nrequire (\n\tgithub.com/jackc/pgx/v5 v5.7.0\n"
                 "\tgithub.com/redis/go-redis/v9 v9.0.0 // indirect\n"
                 "\tgithub.com/rabbitmq/amqp091-go v1.10.0\n)\n"},
                {"cmd/api/main.go", "package main\n\nfunc main() { p := os.Getenv(\"PORT\") }\n"},
                {"cmd/consumer/main.go", "package main\n\nfunc main() {}\n"},
                {"internal/db/db.go", "package db\n"}}),
      "api: go run ./cmd/api @auto <db <rabbitmq\n"
      "consumer: go run ./cmd/consumer <db <rabbitmq\n"
      "db: postgres:17 @auto\n"
      "rabbitmq: rabbitmq:4 @auto\n");
  EXPECT_EQ(
      proposed({{"go.mod", "module m\n"},
                {"main.go", "package main\nfunc main() { http.ListenAndServe(\":8080\", nil) }\n"},
                {"main_test.go", "package main\n// PORT\n"}}),
      "web: go run . @8080\n");
}

TEST(Init, ARustProgramAndAWorkspace) {
  EXPECT_EQ(proposed({{"Cargo.toml",
                       "[package]\nname = \"todo\"\n[dependencies]\naxum = \"0.8\"\n"
                       "sqlx = { version = \"0.8\", features = [\"postgres\"] }\n"},
                      {"src/main.rs", "let l = TcpListener::bind(\"0.0.0.0:3000\").await?;\n"}}),
            "db: postgres:17 @auto\nweb: cargo run @3000 <db\n");
  EXPECT_EQ(proposed({{"Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"},
                      {"crates/api/Cargo.toml",
                       "[package]\nname = \"shop-api\"\n[dependencies]\nredis = \"0.27\"\n"},
                      {"crates/api/src/main.rs", "std::env::var(\"PORT\")"},
                      {"crates/model/Cargo.toml", "[package]\nname = \"model\"\n"},
                      {"crates/model/src/lib.rs", ""}}),
            "redis: redis:7 @auto\nshop-api: cargo run -p shop-api @auto <redis\n");
}

TEST(Init, RailsWithSidekiq) {
  EXPECT_EQ(proposed({{"Gemfile",
                       "source 'https://rubygems.org'\ngem \"rails\", \"~> 8.0\"\n"
                       "gem 'pg'\n  gem \"sidekiq\"\n# gem \"mysql2\"\n"},
                      {"bin/rails", ""},
                      {"config.ru", ""}}),
            "db: postgres:17 @auto\n"
            "migrate: bin/rails db:prepare once <db <redis\n"
            "redis: redis:7 @auto\n"
            "web: bin/rails server -p $PORT @auto <db <redis <migrate\n"
            "worker: bundle exec sidekiq <db <redis <migrate\n");
}

TEST(Init, AProcfileSaysWhatRuns) {
  const Files files = {
      {"Procfile",
       "# comment\nweb: gunicorn app:app -b :$PORT --workers ${WEB_CONCURRENCY:-2}\n"
       "worker: celery -A app worker\nrelease: python manage.py migrate\n\n"},
      {"requirements.txt", "flask\npsycopg2-binary\nredis\n"},
      {"app.py", "app = Flask(__name__)\n"},
      {".env", "SECRET=1\n"}};
  EXPECT_EQ(proposed(files),
            "db: postgres:17 @auto\n"
            "redis: redis:7 @auto\n"
            "release: python manage.py migrate once <db <redis\n"
            "web: gunicorn app:app -b :$PORT --workers $${WEB_CONCURRENCY:-2} @auto <db <redis "
            "<release\n"
            "worker: celery -A app worker <db <redis <release\n");
  EXPECT_NE(propose(memory(files))->text.find("env_file = \".env\"\n"), std::string::npos);
  EXPECT_EQ(proposed({{"Procfile.dev", "web: bin/rails server -p 3000\ncss: yarn watch $$\n"},
                      {"Procfile", "web: puma\n"}}),
            "css: yarn watch $$$$\nweb: bin/rails server -p 3000 @3000\n");
}

TEST(Init, AnAppOfBuildpacks) {
  EXPECT_EQ(proposed({{"project.toml",
                       "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nbuilder = "
                       "\"heroku/builder:24\"\n"},
                      {"package.json", R"({"scripts": {"start": "node ."},
                                           "dependencies": {"mysql2": "3"}})"}}),
            "my-shop: cnb .  @auto <mysql\nmysql: mysql:8.4 @auto\n");
}

TEST(Init, PagesAlone) {
  EXPECT_EQ(proposed({{"index.html", ""}, {"style.css", ""}}),
            "web: python3 -m http.server --bind localhost $PORT @auto\n");
}

TEST(Init, WhatIsThereAndNotReadIsSaid) {
  const Files files = {{"docker-compose.yml", "services: {}\n"},
                       {"Dockerfile", "FROM scratch\n"},
                       {"requirements.txt", "celery\n"},
                       {"app.py", "import os\nos.environ['PORT']\n"}};
  const auto made = propose(memory(files));
  ASSERT_TRUE(made);
  ASSERT_EQ(made->notes.size(), 3u);
  EXPECT_TRUE(made->notes[0].starts_with("Dockerfile: ")) << made->notes[0];
  EXPECT_TRUE(made->notes[1].starts_with("docker-compose.yml: `locald up` runs it as it is"))
      << made->notes[1];
  EXPECT_TRUE(made->notes[2].starts_with("Celery needs a broker")) << made->notes[2];
  EXPECT_EQ(summary(made->text), "web: python3 app.py @auto\n");
}

TEST(Init, WhatIsLeftOutIsNotAskedFor) {
  const Files files = {{"package.json", R"({"scripts": {"start": "node s.js", "migrate": "m"},
                                            "dependencies": {"pg": "8", "redis": "5"}})"},
                       {"s.js", "process.env.PORT"}};
  EXPECT_EQ(proposed(files, {"redis", "migrate"}),
            "db: postgres:17 @auto\nweb: npm run start @auto <db\n");
  EXPECT_EQ(proposed(files, {"db", "redis", "migrate", "web"}), "no service is left");
  const std::string text = propose(memory(files))->text;
  EXPECT_NE(text.find("DATABASE_URL = \"postgres://postgres:postgres@${services.db.host}:"
                      "${services.db.port}/my_shop\""),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("name = \"my-shop\"\n"), std::string::npos) << text;
}

TEST(Init, WhereNothingIsFoundItSaysWhatItReads) {
  const std::string text = proposed({{"README.md", ""}, {"compose.yaml", ""}});
  EXPECT_NE(text.find("nothing here tells what runs"), std::string::npos) << text;
  EXPECT_NE(text.find("compose.yaml: "), std::string::npos) << text;
  EXPECT_NE(text.find("[services.web]"), std::string::npos) << text;
}

TEST(Init, FilesThatCannotBeReadAreNotThere) {
  EXPECT_NE(proposed({{"package.json", "{"}, {"Cargo.toml", "["}, {"pyproject.toml", "="}})
                .find("nothing here"),
            std::string::npos);
  EXPECT_EQ(proposed({{"Procfile", "web server\n: x\nA b/c: run \"it\\now\"\n"}}),
            "a-b-c: run \"it\\now\"\n");
}

TEST(Init, WhatCannotBeReadAsWhatItIsIsSaid) {
  const auto notes = [](const Files& files) {
    const auto made = propose(memory(files));
    return made ? join(made->notes, "\n") : made.error().message();
  };
  const std::string broken = "{\n \"scripts\": {\n  \"dev\" \"vite\"\n }\n}\n";
  const std::string note = "package.json:3: not JSON: syntax error; the file is passed over";
  EXPECT_EQ(notes({{"package.json", broken}}), "nothing here tells what runs\n" + note);
  EXPECT_EQ(notes({{"package.json", broken}, {"Procfile", "web: x"}}), note);
  EXPECT_EQ(notes({{"api/package.json", broken}, {"Procfile", "web: x"}}), "api/" + note);
  EXPECT_EQ(notes({{"package.json", "[]"}, {"Procfile", "web: x"}}),
            "package.json: not a JSON object; the file is passed over");
  EXPECT_TRUE(notes({{"pyproject.toml", "[project\n"}, {"Procfile", "web: x"}})
                  .starts_with("pyproject.toml:1:9: not TOML: "))
      << notes({{"pyproject.toml", "[project\n"}, {"Procfile", "web: x"}});
  EXPECT_EQ(notes({{"Procfile", "web: a\n\nweb: b\nworker: c\n"}}),
            "Procfile:3: \"web\" stands in line 1 already; this one is left out");
  EXPECT_EQ(proposed({{"Procfile", "web: a\nweb: b\n"}}), "web: a @auto\n");
  for (const std::string binary : {"web: \x1b[31mred\n", "\x7f\x45LF: x\n", "web: \xff\n"})
    EXPECT_EQ(
        notes({{"Procfile", binary}}),
        "nothing here tells what runs\nProcfile: not a text in UTF-8; the file is passed over");
}

TEST(Init, PortsInSourcesAndCommands) {
  EXPECT_EQ(port_in_command("serve -p 3000"), 3000);
  EXPECT_EQ(port_in_command("serve --port=81"), 81);
  EXPECT_EQ(port_in_command("serve -p $PORT"), 0);
  EXPECT_EQ(port_in_command("serve 1.2.3"), 0);
  EXPECT_EQ(port_in_source("r.Run(\":8080\")"), 8080);
  EXPECT_EQ(port_in_source("app.run(port=5000)"), 5000);
  EXPECT_EQ(port_in_source("at 10:30 and 1234567"), 0);
  EXPECT_TRUE(asks_for_port("env::var(\"PORT\")"));
  EXPECT_FALSE(asks_for_port("EXPORT SUPPORT PORTS"));
}

}  // namespace
}  // namespace locald::project::init
